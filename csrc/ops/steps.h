// What ops may ask for while they are lowered and while their gradients are derived. Graphs answer.
#pragma once
#include "ops/list.h"

namespace steep {

// Adds ops around the one that is worked on; its layer is theirs. Each returns the tensor written.
class Steps {
 public:
  virtual ~Steps() = default;
  virtual int step(Op op, Tensor result) = 0;   // now
  virtual int first(Op op, Tensor result) = 0;  // before everything else
};

// An op is taken apart into what devices do.
class Lowering : public Steps {
 public:
  virtual bool training() const = 0;
  // Is that parameter one which nobody trains, or one of the objective's, running statistics too?
  virtual bool frozen(int parameter) const = 0;
  virtual bool moves(int parameter) const = 0;
  virtual int besides(Tensor tensor) = 0;  // a tensor that the op itself writes, as its `before`
};

// An op passes the gradient of its result on to its inputs and parameters.
class Gradients : public Steps {
 public:
  virtual int result() const = 0;                 // dy
  virtual int before(const Fused& f) = 0;         // the gradient before the op's own activation
  virtual bool wanted(std::size_t in) const = 0;  // does that input depend on a parameter?
  // A contribution to the gradient of an input: out and accumulate are filled in.
  virtual void give(std::size_t in, Op op) = 0;
  // dz is the gradient of the input as it stands. Later contributions may be added to dz itself:
  // only for ops that have read it by then, in their own place.
  virtual void share(std::size_t in, int dz) = 0;
  virtual void term(int parameter, GradTerm term) = 0;  // none for -1
  virtual const Shape& shape(int tensor) const = 0;
};

}  // namespace steep
