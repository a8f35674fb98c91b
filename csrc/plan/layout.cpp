// Lays parameters out one after the other.
#include "plan/layout.h"

#include "base/error.h"

namespace steep {

Extent Slice::extent() const {
  Extent of{.size = static_cast<double>(rows * columns),
            .rows = static_cast<double>(narrow ? columns : rows),
            .columns = static_cast<double>(narrow ? rows : columns)};
  const bool convolution = shape.size() == 4;
  of.window = convolution ? static_cast<double>(shape[0]) / static_cast<double>(shape[1])
                          : of.columns / of.rows;
  return of;
}

Layout::Layout(const std::vector<Parameter>& parameters, Format format) : format(format) {
  for (const Parameter& p : parameters) {
    const bool matrix = p.shape.size() > 1;
    const bool narrow = p.shape.size() == 2 && p.shape[1] <= kNarrow;
    long rows = narrow ? p.shape[1] : 1;
    for (std::size_t axis = 0; axis + 1 < p.shape.size() && !narrow; ++axis) rows *= p.shape[axis];
    const long columns = narrow ? p.shape[0] : p.shape.back();
    slices.push_back({.name = p.name,
                      .shape = p.shape,
                      .decay = p.decay,
                      .trained = p.trained,
                      .bound = p.bound,
                      .matrix = matrix,
                      .narrow = narrow,
                      .rows = rows,
                      .columns = columns,
                      .offset = 0,
                      .size = rows * padded(columns)});
  }
  for (const bool decay : {true, false}) {
    for (Slice& s : slices) {
      if (s.decay != decay) continue;
      s.offset = size;
      size += s.size;
    }
  }
}

Layout::Layout(const std::vector<Parameter>& parameters, const Layout& whole,
               const std::vector<int>& places)
    : size(whole.size), format(whole.format) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    const Slice& place = whole.slices.at(static_cast<std::size_t>(places.at(i)));
    if (place.shape != p.shape) {
      refuse("a part's \"", p.name, "\" has shape ", text_of(p.shape), ", \"", place.name,
             "\" of the whole ", text_of(place.shape));
    }
    slices.push_back(place);
    slices.back().name = p.name;
    slices.back().decay = p.decay;
    slices.back().trained = p.trained;
    slices.back().bound = p.bound;
  }
}

}  // namespace steep
