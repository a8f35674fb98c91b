// What a rule may know of the parameter it moves as a whole: how large it is, and of which shape.
#pragma once

namespace steep {

// Rows and columns are those of the matrix (inputs, outputs), of a convolution (height*width*in, out); a
// vector is one row.
struct Extent {
  double size = 0, rows = 0, columns = 0;
  double window = 1;  // of a convolution, height over width; of others columns over rows
};

}  // namespace steep
