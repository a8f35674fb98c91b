// Binds ops on images, and works out the sizes of what only a plan knows.
#include "cpu/binder.h"
#include "cpu/calls_images.h"
#include "graph/names.h"

namespace steep {

template <class T> long Plan<T>::Binder::channels(const Op& op) const {
  return slice(op.weight).columns;
}

template <class T> std::shared_ptr<const Conv<T>> Plan<T>::Binder::conv_of(const Op& op) {
  if (is_depthwise(op, program().parameters)) return nullptr;
  // Weights that are used twice may see images of two sizes, at two strides.
  auto& known = convs[op.weight];
  for (const auto& conv : known) {
    if (conv->same(op.window, op.groups)) return conv;
  }
  known.push_back(
      std::make_shared<const Conv<T>>(plan.k_, op.window, slice(op.weight).columns, op.groups));
  plan.scratch_elements_ = std::max(plan.scratch_elements_, known.back()->scratch());
  return known.back();
}

// Forward passes that take weights as they are stored need no packing.
template <class T> void Plan<T>::Binder::drop_packs() {
  std::vector<int> dropped;
  for (const Op& op : program().ops) {
    if (op.kind == Kind::ConvPack && conv_of(op)->packed_size(op.transposed) == 0) {
      dropped.push_back(op.out);
    }
  }
  const auto is_dropped = [&](int x) {
    return std::find(dropped.begin(), dropped.end(), x) != dropped.end();
  };
  std::erase_if(plan.program_.ops, [&](const Op& op) { return is_dropped(op.out); });
  for (Op& op : plan.program_.ops) {
    if (op.kind == Kind::Conv) std::erase_if(op.in, is_dropped);
  }
}

template <class T> void Plan<T>::Binder::size_tensors() {
  drop_packs();
  for (const Op& op : plan.program_.ops) {
    const auto set = [&](long width) { plan.program_.tensors[op.out].width = width; };
    switch (op.kind) {
      case Kind::MatMulGrad:
        if (const Slice& s = slice(op.weight); !s.narrow) {
          plan.scratch_elements_ =
              std::max(plan.scratch_elements_, calls::MatMulGrad<T>::scratch(s.columns));
        }
        break;
      case Kind::ConvPack: set(conv_of(op)->packed_size(op.transposed)); break;
      case Kind::ConvGradWeight: {
        set(slice(op.weight).size);
        const auto conv = conv_of(op);
        const long samples = conv ? conv->images_per_group() : kImagesPerPanel;
        plan.program_.tensors[op.out].samples = samples;
        break;
      }
      case Kind::SumPixels: set(program().tensors[op.in[0]].width / op.pixels); break;
      case Kind::BatchMoments:
      case Kind::BatchNormSums:
      case Kind::BatchNormGradients: set(2 * padded(channels(op))); break;
      case Kind::BatchStatistics:
      case Kind::FrozenStatistics: set(4 * padded(channels(op))); break;
      default: break;
    }
  }
}

template <class T> void Plan<T>::Binder::bind_image_op(const Op& op) {
  switch (op.kind) {
    case Kind::ConvPack: {
      const auto conv = conv_of(op);
      return call(op,
                  calls::ConvPack<T>{conv, op.transposed, parameter(op.weight), rows(op.out).data},
                  conv->pack_units(op.transposed));
    }
    case Kind::Conv: return bind_conv(op);
    case Kind::ConvGrad: return bind_conv_grad(op);
    case Kind::ConvGradWeight: {
      const auto conv = conv_of(op);
      const auto out = rows(op.out);
      const long samples = program().tensors[op.out].samples;
      return call(op,
                  calls::ConvGradWeight<T>{&plan.k_, conv, op.window, rows(op.in[0]),
                                           rows(op.in[1]), out, samples},
                  buffer_rows(op.out) * (conv ? conv->weight_units() : 1));
    }
    case Kind::SumPixels: {
      const auto out = rows(op.out);
      return call(op, calls::SumPixels<T>{&plan.k_, rows(op.in[0]), out, op.pixels, out.columns});
    }
    case Kind::MaxPool:
    case Kind::AvgPool:
    case Kind::MaxPoolGrad:
    case Kind::AvgPoolGrad: return bind_pool(op);
    case Kind::LocalNorm:
    case Kind::LocalNormGrad:
      return call(op,
                  calls::LocalNorm<T>{.k = &plan.k_,
                                      .pixels = op.pixels,
                                      .channels = rows(op.in[0]).columns / op.pixels,
                                      .size = op.size,
                                      .alpha = number(op.layer, op.alpha),
                                      .beta = number(op.layer, op.scale),
                                      .bias = number(op.layer, op.shift),
                                      .x = rows(op.in[0]),
                                      .dy = op.in.size() > 1 ? rows(op.in[1]) : calls::Rows<T>{},
                                      .out = rows(op.out),
                                      .accumulate = op.accumulate});
    case Kind::Pad:
    case Kind::Crop: return bind_inset(op);
    default: return bind_norm(op);
  }
}

template <class T> void Plan<T>::Binder::bind_conv(const Op& op) {
  const int y = op.out, z = op.before >= 0 ? op.before : op.out;
  const T alpha = number(op.layer, op.alpha);
  const bool fused = op.activation >= 0;
  const auto conv = conv_of(op);
  call(op,
       calls::Convolve<T>{.k = &plan.k_,
                          .conv = conv,
                          .window = op.window,
                          .x = rows(op.in[0]),
                          .z = rows(z),
                          .y = rows(y),
                          .weight = op.in.size() > 1 ? rows(op.in[1]).data : parameter(op.weight),
                          .bias = parameter(op.bias),
                          .activation = op.activation,
                          .relu = fused && z == y && op.activation == activation_index("relu"),
                          .alpha = alpha});
  plan.cost_per_row_ +=
      2.0 * (conv ? conv->multiply_adds()
                  : static_cast<double>(op.window.out_pixels() * slice(op.weight).size));
}

template <class T> void Plan<T>::Binder::bind_conv_grad(const Op& op) {
  const T alpha = number(op.layer, op.alpha);
  const auto conv = conv_of(op);
  const bool fused = op.stored >= 0;
  call(op, calls::ConvGrad<T>{.k = &plan.k_,
                              .conv = conv,
                              .window = op.window,
                              .dz = rows(op.in[0]),
                              .dx = rows(op.out),
                              .weight = conv ? rows(op.in[1]).data : parameter(op.weight),
                              .accumulate = op.accumulate,
                              .activation = fused ? op.activation : -1,
                              .stored = rows(op.stored),
                              .alpha = alpha});
  plan.cost_per_row_ +=
      4.0 * (conv ? conv->multiply_adds()  // with the gradient of W
                  : static_cast<double>(op.window.out_pixels() * slice(op.weight).size));
}

template <class T> void Plan<T>::Binder::bind_pool(const Op& op) {
  const bool largest = op.kind == Kind::MaxPool || op.kind == Kind::MaxPoolGrad;
  if (op.kind == Kind::MaxPool || op.kind == Kind::AvgPool) {
    return call(op, calls::Pool<T>{&plan.k_, largest, op.count_padding, op.window, rows(op.in[0]),
                                   rows(op.out)});
  }
  call(op, calls::PoolGrad<T>{.k = &plan.k_,
                              .largest = largest,
                              .count_padding = op.count_padding,
                              .window = op.window,
                              .x = largest ? rows(op.in[0]) : calls::Rows<T>{},
                              .y = largest ? rows(op.in[1]) : calls::Rows<T>{},
                              .dy = rows(op.in[largest ? 2 : 0]),
                              .dx = rows(op.out),
                              .accumulate = op.accumulate});
}

template <class T> void Plan<T>::Binder::bind_inset(const Op& op) {
  calls::Inset<T> inset{};
  inset.from = rows(op.in[0]);
  inset.to = rows(op.out);
  inset.pad = op.kind == Kind::Pad;
  inset.accumulate = op.accumulate;
  const Shape& from = program().tensors[op.in[0]].shape;
  const Shape& to = program().tensors[op.out].shape;
  for (int axis = 0; axis < 3; ++axis) {
    inset.small[axis] = (inset.pad ? from : to)[axis];
    inset.large[axis] = (inset.pad ? to : from)[axis];
    inset.before[axis] = op.around[axis];
  }
  call(op, inset);
}

template <class T> void Plan<T>::Binder::bind_norm(const Op& op) {
  const Kernels<T>* k = &plan.k_;
  const long c = channels(op), units = (c + calls::kChannelUnit - 1) / calls::kChannelUnit;
  const auto in = [&](std::size_t i) { return rows(op.in[i]); };
  const auto out = rows(op.out);
  switch (op.kind) {
    case Kind::BatchMoments: return call(op, calls::BatchMoments<T>{k, op.pixels, c, in(0), out});
    case Kind::BatchStatistics:
      plan.running_.push_back({parameter(op.running[0]), parameter(op.running[1]), out.data,
                               out.data + 3 * padded(c), c, op.pixels, op.momentum});
      return call(
          op,
          calls::BatchStatistics<T>{op.pixels, c, op.eps, in(0), parameter(op.weight), out.data},
          units);
    case Kind::FrozenStatistics:
      return call(
          op,
          calls::FrozenStatistics<T>{c, op.eps, parameter(op.running[0]), parameter(op.running[1]),
                                     parameter(op.weight), out.data},
          units);
    case Kind::BatchNorm:
      return call(op, calls::BatchNorm<T>{.k = k,
                                          .pixels = op.pixels,
                                          .channels = c,
                                          .x = in(0),
                                          .y = out,
                                          .residual = op.in.size() > 2 ? in(2) : calls::Rows<T>{},
                                          .statistics = in(1).data,
                                          .shift = parameter(op.bias),
                                          .relu = op.activation >= 0});
    case Kind::BatchNormSums:
      return call(op, calls::BatchNormSums<T>{k, op.pixels, c, in(0), in(1), out, in(2).data});
    case Kind::BatchNormGradients:
      return call(op, calls::BatchNormGradients<T>{op.pixels, c, in(0), in(1).data, out.data},
                  units);
    case Kind::BatchNormGrad:
      return call(op, calls::BatchNormGrad<T>{k, op.pixels, c, in(0), in(1), out, in(2).data,
                                              in(3).data, op.accumulate});
    default: return;
  }
}

// What this file defines of them.
template struct Plan<float>::Binder;
template struct Plan<double>::Binder;

}  // namespace steep
