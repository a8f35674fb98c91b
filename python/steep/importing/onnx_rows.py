"""Every ONNX operator that steep has: a row for each in `ROWS`, which puts layers behind views.

A row is called with the builder, the node and what the node reads: a `View` of a tensor, a `Weight`
of a constant, None where nothing is given. Constants alone are computed in `folding`.
"""

from collections.abc import Mapping

from .. import ops
from . import onnx_attention_op as attention_op
from . import onnx_elements as elements
from . import onnx_ml as ml
from . import onnx_norms as norms
from . import onnx_parts as parts
from . import onnx_positions as positions
from . import onnx_products as products
from . import onnx_resize as resize
from . import onnx_shapes as shapes
from .onnx_attention import less, where
from .onnx_node import DENSE, Row
from .onnx_recurrent import recurrent

# Operators that want channels first: with one of them in it, what comes in may be images.
WINDOWED = frozenset({
    "AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace",
    "GlobalAveragePool", "GlobalMaxPool", "GroupNormalization", "InstanceNormalization", "LRN",
    "LpPool", "MaxPool", "PRelu", "Resize", "SpaceToDepth", "Upsample",
})  # fmt: skip
# Operators that know where the batch is; `onnx_batch` reads the others where it is elsewhere.
MOVING_BATCH = frozenset({
    "GRU", "Gather", "LSTM", "RNN", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceSum", "ReduceSumSquare", "Reshape", "Slice", "Squeeze",
    "Transpose", "Unsqueeze",
})  # fmt: skip
ROWS: Mapping[str, Row] = {
    DENSE: products.dense,
    "Abs": elements.plain("abs"),
    "Add": elements.add,
    "Attention": attention_op.read,
    "AveragePool": products.pool("avg"),
    "BatchNormalization": products.batch_norm,
    "Cast": elements.cast,
    "CastLike": elements.cast_like,
    "CausalConvWithState": positions.causal_conv,
    "Celu": elements.plain("celu", alpha=1.0),
    "Clip": elements.clip,
    "Concat": parts.concat,
    "Conv": products.conv,
    "ConvTranspose": products.conv_transpose,
    "DepthToSpace": shapes.depth_to_space,
    "Div": elements.divide,
    "Dropout": elements.dropout,
    "Elu": elements.plain("elu", alpha=1.0),
    "Cos": elements.plain("cos"),
    "Exp": elements.plain("exp"),
    "Expand": parts.expand,
    "Flatten": shapes.flatten,
    "Gather": parts.gather,
    "GRU": recurrent,
    "Gelu": elements.gelu,
    "Gemm": products.gemm,
    "GlobalAveragePool": products.whole("mean"),
    "GlobalMaxPool": products.whole("max"),
    "GroupNormalization": norms.group_norm,
    "HardSigmoid": elements.hard_sigmoid,
    "HardSwish": elements.plain("hard_swish"),
    "Identity": elements.same,
    "InstanceNormalization": norms.instance_norm,
    "LRN": norms.lrn,
    "LSTM": recurrent,
    "LayerNormalization": norms.layer_norm,
    "LeakyRelu": elements.plain("leaky_relu", alpha=0.01),
    "Log": elements.plain("log"),
    "Less": less,
    "LogSoftmax": norms.log_softmax,
    "LpNormalization": norms.lp_norm,
    "LpPool": products.lp_pool,
    "MatMul": products.matmul,
    "Max": elements.many(ops.maximum, "low"),
    "MaxPool": products.pool("max"),
    "Mean": elements.mean,
    "Min": elements.many(ops.minimum, "high"),
    "Mish": elements.plain("mish"),
    "Mul": elements.multiply,
    "Neg": elements.neg,
    "PRelu": elements.prelu,
    "Pad": parts.pad,
    "Pow": elements.power,
    "RNN": recurrent,
    "RMSNormalization": norms.rms_norm,
    "Reciprocal": elements.reciprocal,
    "ReduceL1": shapes.reduce("sum", "abs"),
    "ReduceL2": shapes.reduce("sum", "square", "sqrt"),
    "ReduceLogSum": shapes.reduce("sum", "", "log"),
    "ReduceLogSumExp": shapes.log_sum_exp,
    "ReduceMax": shapes.reduce("max"),
    "ReduceMean": shapes.reduce("mean"),
    "ReduceMin": shapes.reduce("min"),
    "ReduceSum": shapes.reduce("sum"),
    "ReduceSumSquare": shapes.reduce("sum", "square"),
    "Relu": elements.plain("relu"),
    "Reshape": shapes.reshape,
    "Resize": resize.resize,
    "RotaryEmbedding": positions.rotary,
    "Selu": elements.selu,
    "Shrink": elements.shrink,
    "Sigmoid": elements.plain("sigmoid"),
    "Slice": parts.cut,
    "Softmax": norms.softmax,
    "Sin": elements.plain("sin"),
    "Softplus": elements.plain("softplus"),
    "Softsign": elements.plain("softsign"),
    "SpaceToDepth": shapes.space_to_depth,
    "Split": parts.split,
    "Sqrt": elements.plain("sqrt"),
    "Squeeze": shapes.squeeze,
    "Sub": elements.subtract,
    "Sum": elements.many(ops.add),
    "SwiGLU": elements.swiglu,
    "Swish": elements.swish,
    "Tanh": elements.plain("tanh"),
    "ThresholdedRelu": elements.thresholded,
    "Tile": parts.tile,
    "Transpose": shapes.transpose,
    "Unsqueeze": shapes.unsqueeze,
    "Upsample": resize.resize,
    "Where": where,
    "ai.onnx.ml.LinearClassifier": ml.linear_classifier,
    "ai.onnx.ml.LinearRegressor": ml.linear_regressor,
    "ai.onnx.ml.Normalizer": ml.normalizer,
    "ai.onnx.ml.Scaler": ml.scaler,
}
