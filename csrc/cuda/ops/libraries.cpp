// Operands are laid dense where a library could not read them in place, results taken back; one stretch of memory
// holds the library's workspace, then each of them.
#include "cuda/ops/libraries.h"

#include <cstdint>
#include <map>

#include "cuda/kernels/lay.h"
#include "cuda/libraries/dnn.h"
#include "cuda/libraries/lt.h"
#include "ops/names.h"

namespace steep::cuda {

namespace {

constexpr std::size_t kAlign = 256;
constexpr long kUnit = 8;  // numbers: rows of 16 bytes in bfloat16

long whole(long n) { return ceil_div(n, kUnit) * kUnit; }
std::size_t bytes_of(long numbers, bool bfloat16) {
  const auto bytes = static_cast<std::size_t>(numbers) * (bfloat16 ? 2 : 4);
  return (bytes + kAlign - 1) / kAlign * kAlign;
}

// What is made for a number of rows when it is first asked for.
template <class Made> class ByRows {
 public:
  explicit ByRows(std::function<std::unique_ptr<Made>(int)> make) : make_(std::move(make)) {}
  const Made& of(int rows) {
    std::unique_ptr<Made>& made = made_[rows];
    if (!made) made = make_(rows);
    return *made;
  }

 private:
  std::function<std::unique_ptr<Made>(int)> make_;
  std::map<int, std::unique_ptr<Made>> made_;
};
template <class Made, class Make> std::shared_ptr<ByRows<Made>> by_rows(Aid* aid, Make make) {
  auto made = std::make_shared<ByRows<Made>>(std::move(make));
  aid->ready.push_back([made](int rows) { made->of(rows); });
  return made;
}

// ---- Products ----

bool fits(const Aid* aid, const Factor& w) {
  return aid != nullptr && lt::on() && !w.narrow && w.positions == 1;
}

// Rows of a batch as a library reads them: where they are, or laid at `offset` of the scratch.
struct Rows {
  bool laid;
  long ld;
  std::size_t offset;
  Rows(const Aid& aid, const View& x, std::size_t at)
      : laid(aid.bfloat16 || x.ld % 4 != 0 || reinterpret_cast<std::uintptr_t>(x.data) % 16 != 0),
        ld(laid ? whole(x.columns) : x.ld), offset(at) {}
  std::size_t end(const Aid& aid) const {
    return offset + (laid ? bytes_of(ld * aid.capacity, aid.bfloat16) : 0);
  }
  const void* put(const Place& at, const Scratch& in, const View& x, bool bfloat16) const {
    if (!laid) return x.data;
    void* const to = in.data() + offset;
    lay_rows(at, x, {to, ld, bfloat16});
    return to;
  }
};

bool is(const Function& f, const char* name) { return f.f >= 0 && f.f == activation_index(name); }

// What of a function the library does after a product; aux is where f's input is, or goes.
lt::Epilogue epilogue_of(const Function& f, const float* bias, const View& aux) {
  using lt::Epilogue;
  if (!bias) return Epilogue::kNothing;
  if (is(f, "gelu_tanh") && !aux.data) return Epilogue::kGeluBias;
  if (is(f, "gelu_tanh") && aux.ld % kUnit == 0) return Epilogue::kGeluAuxBias;
  return Epilogue::kBias;
}

}  // namespace

Matmul matmul_by(Aid* aid, const View& x, const Factor& w, const float* bias, const Function& f,
                 const View& y, const View& z) {
  if (!fits(aid, w)) return matmul;
  using lt::Epilogue;
  const bool narrow = aid->bfloat16;
  const Epilogue epilogue = epilogue_of(f, bias, z);
  const bool done = epilogue != Epilogue::kNothing && epilogue != Epilogue::kBias;
  const View out = !done && z.data ? z : y;
  const long inputs = x.columns, outputs = out.columns, ld = whole(outputs);
  const std::size_t at_w = lt::kWorkspace;
  const Rows rows(*aid, x, at_w + bytes_of(inputs * ld, narrow));
  aid->here.want(rows.end(*aid));
  const auto made = by_rows<lt::Product>(aid, [=](int n) {
    return std::make_unique<lt::Product>(lt::Shape{false, false, narrow, false, outputs, n, inputs,
                                                   ld, rows.ld, out.ld, z.ld, epilogue});
  });
  return [=](const Place& at, const View& in, const Factor& by, const float* b, const Function& fn,
             const View& to, const View& before) {
    const Scratch& scratch = aid->here;
    void* const laid = scratch.data() + at_w;
    lay_weight(at, by.w, by.turned, {laid, ld, narrow});
    const View first = !done && before.data ? before : to;
    made->of(at.rows).run({laid, rows.put(at, scratch, in, narrow), first.data,
                           const_cast<float*>(b), before.data, scratch.data()},
                          at.stream);
    if (fn.f >= 0 && !done) activate(at, fn.f, fn.alpha, first, to);
  };
}

MatmulGrad matmul_grad_by(Aid* aid, const View& dz, const Factor& w, bool accumulate,
                          const Function& f, const View& dx, const View& stored) {
  if (!fits(aid, w)) return matmul_grad;
  const bool narrow = aid->bfloat16;
  const bool done = is(f, "gelu_tanh") && stored.ld % kUnit == 0;
  const long inputs = dx.columns, outputs = dz.columns, ld = whole(outputs);
  const std::size_t at_w = lt::kWorkspace;
  const Rows rows(*aid, dz, at_w + bytes_of(inputs * ld, narrow));
  aid->here.want(rows.end(*aid));
  const auto made = by_rows<lt::Product>(aid, [=](int n) {
    return std::make_unique<lt::Product>(
        lt::Shape{true, false, narrow, accumulate, inputs, n, outputs, ld, rows.ld, dx.ld,
                  stored.ld, done ? lt::Epilogue::kDGelu : lt::Epilogue::kNothing});
  });
  return [=](const Place& at, const View& in, const Factor& by, bool, const Function& fn,
             const View& kept, const View& to) {
    const Scratch& scratch = aid->here;
    void* const laid = scratch.data() + at_w;
    lay_weight(at, by.w, by.turned, {laid, ld, narrow});
    made->of(at.rows).run({laid, rows.put(at, scratch, in, narrow), to.data, nullptr,
                           done ? kept.data : nullptr, scratch.data()},
                          at.stream);
    if (fn.f >= 0 && !done) activate_grad(at, fn.f, fn.alpha, to, kept, to, false);
  };
}

MatmulGradWeight matmul_grad_weight_by(Aid* aid, bool beside, const View& x, const View& dz,
                                       const Factor& dw) {
  if (!fits(aid, dw)) return matmul_grad_weight;
  const bool narrow = aid->bfloat16;
  Scratch* const scratch = beside ? &aid->beside : &aid->here;
  const long inputs = x.columns, outputs = dz.columns, ld = whole(outputs);
  const std::size_t at_d = lt::kWorkspace;
  const Rows right(*aid, x, at_d + bytes_of(inputs * ld, false));
  const Rows left(*aid, dz, right.end(*aid));
  scratch->want(left.end(*aid));
  const auto make = [=](lt::Epilogue epilogue) {
    return by_rows<lt::Product>(aid, [=](int n) {
      return std::make_unique<lt::Product>(lt::Shape{false, true, narrow, false, outputs, inputs, n,
                                                     left.ld, right.ld, ld, 0, epilogue});
    });
  };
  const auto alone = make(lt::Epilogue::kNothing), summed = make(lt::Epilogue::kSumA);
  return [=](const Place& at, const View& in, const View& grad, const Factor& to, bool accumulate,
             float* db) {
    auto* const found = reinterpret_cast<float*>(scratch->data() + at_d);
    const void* const a = left.put(at, *scratch, grad, narrow);
    const void* const b = right.put(at, *scratch, in, narrow);
    (db ? summed : alone)->of(at.rows).run({a, b, found, db, nullptr, scratch->data()}, at.stream);
    take_weight(at, {found, ld, false}, false, accumulate, to.w);
  };
}

// ---- Convolutions ----

namespace {

// A convolution's three tensors in the scratch, behind the workspace, and its plans.
class Convolution {
 public:
  Convolution(Aid* aid, const Kernel& k, dnn::Pass pass) : aid_(aid), k_(k) {
    made_ = by_rows<dnn::Plan>(aid, [=, this](int n) {
      return std::make_unique<dnn::Plan>(
          dnn::Shape{pass, aid_->bfloat16, n, filters(), k_.groups, k_.window});
    });
    at_x_ = static_cast<std::size_t>(dnn::kMostWorkspace);
    at_w_ = at_x_ + bytes_of(image() * aid->capacity, aid->bfloat16);
    at_y_ = at_w_ + bytes_of(filters() * taps(), aid->bfloat16);
    aid->here.want(at_y_ + bytes_of(result() * aid->capacity, aid->bfloat16));
  }
  long filters() const { return k_.w.panels.columns; }
  long taps() const { return k_.w.panels.rows; }  // with the channels of a group
  long image() const { return k_.window.pixels() * k_.window.channels; }
  long result() const { return k_.window.out_pixels() * filters(); }
  Laid x() const { return {aid_->here.data() + at_x_, image(), aid_->bfloat16}; }
  Laid w() const { return {aid_->here.data() + at_w_, taps(), aid_->bfloat16}; }
  Laid y() const { return {aid_->here.data() + at_y_, result(), aid_->bfloat16}; }
  void run(const Place& at) const {
    made_->of(at.rows).run({x().data, w().data, y().data, aid_->here.data()}, at.stream);
  }

 private:
  Aid* aid_;
  const Kernel k_;
  std::shared_ptr<ByRows<dnn::Plan>> made_;
  std::size_t at_x_ = 0, at_w_ = 0, at_y_ = 0;
};

bool fits(const Aid* aid, bool depthwise) { return aid != nullptr && dnn::on() && !depthwise; }

Convolve convolve(Aid* aid, const Kernel& kernel, bool forward) {
  const auto by =
      std::make_shared<Convolution>(aid, kernel, forward ? dnn::Pass::kForward : dnn::Pass::kData);
  return [=](const Place& at, const Kernel& k, const float* bias, bool accumulate,
             const Function& f, const View& from, const View& to, const View& z) {
    const View& first = z.data ? z : to;
    lay_weight(at, k.w, true, by->w());
    lay_rows(at, from, forward ? by->x() : by->y());
    by->run(at);
    const int period = static_cast<int>(forward ? by->filters() : k.window.channels);
    take_rows(at, forward ? by->y() : by->x(), bias, period, accumulate, first);
    if (f.f >= 0) activate(at, f.f, f.alpha, first, to);
  };
}

}  // namespace

Convolve correlate_by(Aid* aid, const Kernel& k) {
  return fits(aid, k.depthwise) ? convolve(aid, k, true) : Convolve(correlate);
}
Convolve carry_back_by(Aid* aid, const Kernel& k) {
  return fits(aid, k.depthwise) ? convolve(aid, k, false) : Convolve(carry_back);
}

bool kernel_gradients_at_once(const Aid* aid, bool depthwise) { return fits(aid, depthwise); }

KernelGradients kernel_gradients_by(Aid* aid, const Kernel& kernel) {
  if (!fits(aid, kernel.depthwise)) return kernel_gradients;
  const auto by = std::make_shared<Convolution>(aid, kernel, dnn::Pass::kWeights);
  return
      [=](const Place& at, const Kernel& k, int, const View& x, const View& dy, const View& parts) {
        lay_rows(at, x, by->x());
        lay_rows(at, dy, by->y());
        by->run(at);
        take_weight(at, by->w(), true, false, {parts.data, k.w.panels});
      };
}

}  // namespace steep::cuda
