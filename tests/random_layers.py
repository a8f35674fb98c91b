"""Draws the body of a network: layers, their numbers, blocks, shared layers; no trainer."""

import math

from described import Call, Fork, Meet, Source, Use, call
from random_activations import BENT, PLAIN, STEEP, Activations, layer
from shapes import Misfit, after, both

# What weights may begin with; what is no matrix has no "identity", what is no kernel no "dirac".
INITS = ("he", "xavier", "xavier_in", "glorot_normal", "lecun_uniform", "truncated_normal",
         *map(Source, ("initializers.VarianceScaling(2, 'fan_out')", "initializers.Normal(0.1)",
                       "initializers.TruncatedNormal(0.2, cut=1)", "initializers.Constant(0.1)",
                       "initializers.Uniform(0.2)", "initializers.Orthogonal(1.2)")))  # fmt: skip
MATRICES = (Source("initializers.Sparse(0.5, 0.3)"), Source("initializers.Identity()"))
KERNELS = (Source("initializers.Dirac(0.9)"),)
DELTAS = (Source("initializers.DeltaOrthogonal()"), "delta_orthogonal")
CONSTRAINTS = ("non_negative", "unit_norm", "max_norm", *map(Source, (
    "constraints.Clip(0.2)", "constraints.MaxNorm(0.5)", "constraints.NonNegative()",
    "constraints.UnitNorm()")))  # fmt: skip
LARGEST = 2500  # elements of an image on the way


class Body(Activations):
    """Draws the layers of one network."""

    def __init__(self, random, large=False):
        super().__init__(random)
        self.shared = []
        self.large = large  # enough for several threads, and for sums in several parts

    def width(self):
        """Odd widths from 1 to 40; often around the 16 elements that rows are padded to."""
        if self.large and self.chance(0.7):
            return self.choose(self.whole(41, 200), 63, 64, 65, 127, 128, 129)
        return self.choose(self.whole(1, 5), self.whole(1, 40), self.choose(15, 16, 17, 31, 32, 33))

    # -- of vectors ----------------------------------------------------------------------------

    def dense(self, units, init=True):
        return layer(
            "Dense", units, self.activation(), use_bias=self.maybe(0.2, False),
            init=self.maybe(0.25 * init, self.choose(0.2, *INITS, *MATRICES)),
            constraint=self.constraint(), ntk=self.maybe(0.1, True),
        )  # fmt: skip

    def spread(self, shape):
        """Return layers that make several numbers of each, and a vector of all."""
        if self.chance(0.7) or shape[0] > 40:
            return [layer("RepeatVector", self.whole(1, 4)), *self.maybe_list(
                0.5, self.pointwise_plain), layer("Flatten")]  # fmt: skip
        if self.chance(0.4):
            bins = self.maybe(0.7, self.whole(1, 20))
            return [layer(
                "PiecewiseEmbedding", units=self.maybe(0.5, self.whole(1, 5)), bins=bins,
                edges=self.maybe(0.5, self.edges(shape[0], bins or 32)),
                passes=self.maybe(0.3, False),
            )]  # fmt: skip
        return [layer(
            "PeriodicEmbedding", units=self.maybe(0.5, self.whole(1, 5)),
            waves=self.maybe(0.5, self.whole(1, 20)), sigma=self.maybe(0.3, 0.4),
            activation=self.maybe(0.3, self.plain_activation()), passes=self.maybe(0.3, False),
        )]  # fmt: skip

    def edges(self, numbers, bins):
        """Return ends of bins, some of no width."""
        steps = [[self.choose(0, 1, 1, 3) for _ in range(bins + 1)] for _ in range(numbers)]
        return [[sum(row[: k + 1]) / 8 - 2 for k in range(bins + 1)] for row in steps]

    def constraint(self):
        return self.maybe(0.08, self.choose(*CONSTRAINTS))

    def dropout(self):
        if self.chance(0.2):
            fall = call("schedules", "Linear", self.choose(0.2, 0.6), 0.0, self.whole(1, 9))
            return layer("Dropout", fall, redraw=self.maybe(0.4, "epoch"))
        return layer(
            "Dropout", self.choose(0.0, 0.1, 0.3, 0.5, 0.8),
            redraw=self.maybe(0.4, "epoch"), scale_at=self.maybe(0.3, "test"),
        )  # fmt: skip

    def batch_norm(self):
        return layer(
            "BatchNorm", momentum=self.maybe(0.3, self.choose(0.0, 0.5, 0.99)),
            eps=self.maybe(0.3, self.choose(1e-3, 1e-2)), unbiased=self.maybe(0.3, False),
            virtual_batch=self.maybe(0.3, self.choose(1, 2, 3, 5, 8, 32)),
            init=self.maybe(0.15, self.choose(0.2, 1.5)),
        )  # fmt: skip

    def pointwise(self, shape):  # noqa: PLR0911 - one for each kind
        """Return layers that keep the shape, whatever it is."""
        kind = self.choose("activation", "activation", "dropout", "norm", "rescale", "own")
        if kind == "dropout" and self.chance(0.25):
            return [layer("GaussianNoise", self.choose(0.0, 0.0, 0.1, 1.5))]
        if kind == "rescale" and self.chance(0.2):
            ramp = call("schedules", "SigmoidRamp", self.number(0, 2), self.whole(1, 9))
            scale = ramp if self.chance(0.3) else self.number(0, 2)
            return [layer("GradientReversal", *self.maybe_list(0.7, lambda: [scale]))]
        if kind == "dropout" and self.chance(0.3):
            return [layer("AlphaDropout", self.choose(0.0, 0.0, 0.1, 0.5))]
        if kind == "activation":
            return self.activations(shape)
        if kind == "dropout":
            return [self.dropout()]
        if kind == "norm" and self.chance(0.35) and shape[-1] > 1:
            return [self.feature_norm(shape)]
        if kind == "norm":
            return [self.batch_norm()]
        if kind == "rescale":
            if self.chance(0.4):
                n = shape[-1]
                mean = tuple(self.number(-1, 1) for _ in range(n))
                return [layer("Normalize", mean, tuple(self.number(0.5, 2) for _ in range(n)))]
            if self.chance(0.2):
                return [layer("FeatureScale", *self.maybe_list(0.5, lambda: [self.number(-2, 2)]))]
            return [layer("Rescale", self.number(-1.5, 1.5), self.choose(0.0, 0.3, -1.0))]
        if self.chance(0.4):
            return [call("", "Rung")]
        return [call("", "Shift", self.number(-1, 1), turned=self.maybe(0.5, True))]

    def feature_norm(self, shape):
        """A norm of each sample, whose pieces have two numbers at least."""
        eps = self.maybe(0.4, self.choose(1e-3, 0.1))
        positions, channels = math.prod(shape[:-1]), shape[-1]
        groups = [g for g in (1, 2, 3, channels) if channels % g == 0 and positions * channels > g]
        kind = self.choose("LayerNorm", "RMSNorm", "GroupNorm", *["InstanceNorm"] * (positions > 1))
        if kind == "GroupNorm":
            return layer(kind, self.choose(*groups), eps=eps)
        if kind == "LayerNorm":
            return layer(kind, eps=eps, use_bias=self.maybe(0.3, False))
        return layer(kind, eps=eps)

    def start(self):
        """Return what a weight begins with, for layers that hand it on."""
        return self.maybe(0.3, self.choose("he", "xavier", Source("initializers.Normal(0.1)")))

    def attention(self, shape):
        heads = self.choose(*[h for h in (1, 1, 2, 3, 4) if shape[-1] % h == 0])
        head = self.maybe(0.3, self.choose(1, self.whole(1, 9), 17))
        return layer(
            "MultiHeadAttention", heads if head is None else self.whole(1, 3), head_units=head,
            causal=self.maybe(0.5, True), dropout=self.maybe(0.2, self.choose(0.0, 0.3)),
            use_bias=self.maybe(0.2, False), init=self.start(), out_init=self.start(),
        )  # fmt: skip

    def transformer(self, shape):
        heads = self.choose(*[h for h in (1, 2, 3) if shape[-1] % h == 0])
        return layer(
            "TransformerBlock", heads, mlp=self.maybe(0.8, self.whole(1, 3)),
            norm_first=self.maybe(0.4, False), activation=self.maybe(0.5, self.choose(*BENT)),
            causal=self.maybe(0.5, True), dropout=self.maybe(0.2, self.choose(0.0, 0.3)),
            eps=self.maybe(0.3, 1e-3), init=self.start(), out_init=self.start(),
        )  # fmt: skip

    def tokens(self, length):
        """Return layers from whole numbers to a vector; the first one is what the data are for."""
        vocabulary = self.choose(2, 3, self.whole(2, 90))
        units = self.choose(1, 4, self.whole(1, 40))
        table = layer(
            "Embedding", vocabulary, units,
            init=self.maybe(0.3, Source("initializers.Normal(0.5)")),
            padding=self.maybe(0.3, self.whole(0, vocabulary - 1)), sparse=self.maybe(0.3, True),
        )  # fmt: skip
        shape = (length, units)
        nodes = [table, *self.of_positions(shape, self.whole(0, 2))]
        return [*nodes, layer("Flatten")]

    def places(self, shape):
        """Return what is added to positions, or stands before them."""
        kind = self.choose("PositionEmbedding", "SinusoidalPositions", "ClassToken")
        if kind == "SinusoidalPositions":
            return layer(kind)
        return layer(kind, init=self.maybe(0.5, Source("initializers.Normal(0.3)")))

    def vector_block(self, shape, depth):  # noqa: PLR0911 - one for each kind
        """Return a few layers from one vector to another."""
        kind = self.choose(
            "dense", "dense", "dense", "dense", "pointwise", "pointwise", "gate", "gated",
            "residual", "branches", "nest", "share", "image", "tied", "drawn", "positions",
            "last axis", "spectral",
        )  # fmt: skip
        if depth > 1 and kind in ("residual", "branches", "nest", "image", "last axis"):
            kind = "dense"
        if kind == "pointwise":
            return self.pointwise(shape)
        if kind == "gate":
            return [call("", "Gate", self.width())]
        if kind == "gated":
            times, unit = self.gated()
            return [layer("Dense", times * self.width(), unit)]
        if kind == "tied":
            return self.tied(shape)
        if kind == "drawn":
            return [
                layer("Dense", 2 * self.width(), self.plain_activation()),
                layer("Reparameterize", sample=self.maybe(0.3, True)),
            ]
        if kind == "positions":
            return self.spread(shape)
        if kind == "nest" and self.chance(0.4):
            return [call("", "diamond", shape[0], self.width())]
        if kind == "nest":
            return [call("steep", "Sequential", *self.chain(shape, depth + 1, self.whole(1, 2)))]
        if kind in ("residual", "branches", "share"):
            return getattr(self, kind)(shape, depth)
        if kind in ("image", "last axis"):
            return self.detour(depth) if kind == "image" else self.last_axis()
        if kind == "spectral":
            return [self.spectral(self.dense(self.width()))]
        return [self.dense(self.width())]

    def spectral(self, inner):
        return layer("SpectralNorm", inner, iterations=self.maybe(0.4, self.whole(1, 4)))

    def residual(self, shape, depth):
        """A residual block; a Dense at its end or on the way past makes the shapes equal."""
        body = self.chain(shape, depth + 1, self.whole(1, 2))
        end = after(body, shape, self.shared)
        short = None
        if end != shape and self.chance(0.5) and len(end) == 1:
            short = self.dense(end[0])
            if self.chance(0.3):
                short = call("steep", "Sequential", short, *self.pointwise(end))
        elif end != shape:
            body = [*body, *([layer("Flatten")] * (len(end) > 1)), self.dense(shape[0])]
        return [self._residual(body, short)]

    def _residual(self, body, short):
        return layer(
            "Residual", *body, shortcut=short, activation=self.maybe(0.4, self.choose(*BENT)),
            recompute=self.maybe(0.4, True),
        )  # fmt: skip

    def branches(self, shape, depth):
        join = self.maybe(0.4, "add")
        ways = []
        width = self.width()
        for _ in range(self.whole(1, 3)):
            way = self.chain(shape, depth + 1, self.whole(1, 2))
            end = after(way, shape, self.shared)
            if len(end) > 1:
                way = [*way, layer("Flatten")]
            if join or self.chance(0.3):
                way = [*way, self.dense(width)]
            ways.append(way[0] if len(way) == 1 else call("steep", "Sequential", *way))
        return [layer("Branches", *ways, join=join)]

    def share(self, shape, depth):
        """The same layer, or the same nested network, twice, with something between."""
        name = "abcdefgh"[len(self.shared)]
        if len(self.shared) > 2:
            return [self.dense(self.width())]
        if self.chance(0.5):
            inner = self.dense(shape[0], init=False)
        else:
            inner = call("steep", "Sequential", self.dense(self.width()), *self.maybe_list(
                0.4, self.pointwise_plain), self.dense(shape[0]))  # fmt: skip
        self.shared.append((name, inner))
        between = self.pointwise(shape) if self.chance(0.6) else []
        return [Use(name), *between, Use(name)]

    def tied(self, shape):
        """A Dense and, with something between, its transpose."""
        if len(self.shared) > 2:
            return [self.dense(self.width())]
        name = "abcdefgh"[len(self.shared)]
        width = self.width()
        inner = layer("Dense", width, self.plain_activation(), use_bias=self.maybe(0.3, False))
        self.shared.append((name, inner))
        between = self.pointwise((width,)) if self.chance(0.4) else []
        back = layer("TiedDense", Use(name), shape[0], activation=self.activation(),
                     use_bias=self.maybe(0.3, False))  # fmt: skip
        return [Use(name), *between, back]

    def plain_activation(self):
        """Return an activation that keeps the width, by name."""
        return self.maybe(0.8, self.choose(*BENT))

    def maybe_list(self, p, draw):
        return draw() if self.chance(p) else []

    def pointwise_plain(self):
        return [self.by_class()]

    def detour(self, depth):
        """Through an image or a sequence and back."""
        if self.chance(0.4):
            shape = self.whole(1, 12), self.whole(1, 6)
            body = self.sequence_chain(shape, self.whole(1, 3))
            end = after(body, shape, self.shared)
            flat = [layer("Flatten")] * (len(end) > 1)
            return [self.dense(math.prod(shape)), layer("Reshape", shape), *body, *flat]
        h, w, c = self.whole(1, 5), self.whole(1, 5), self.whole(1, 3)
        body = self.image_chain((h, w, c), depth + 1, self.whole(1, 2))
        return [self.dense(h * w * c), layer("Reshape", (h, w, c)), *body, layer("Flatten")]

    def last_axis(self):
        """Through rows of numbers that share their weights, and back."""
        shape = self.choose(1, 2, self.whole(3, 20)), self.choose(1, 2, 3, self.whole(4, 20), 32)
        start = [self.dense(math.prod(shape)), layer("Reshape", shape)]
        if self.chance(0.15):  # rows of the patches of an image
            h, w, c = self.whole(1, 3), self.whole(1, 3), self.whole(1, 3)
            size = self.choose(1, 2, (2, 1))
            rows, columns = both(size)
            start = [self.dense(h * rows * w * columns * c),
                     layer("Reshape", (h * rows, w * columns, c)),
                     layer("PatchEmbedding", size, shape[1], init=self.start())]  # fmt: skip
            shape = (h * w, shape[1])
        nodes = [*start, *self.of_positions(shape, self.whole(1, 3))]
        end = after(nodes, (1,), self.shared)
        last = layer("Position", self.choose(0, -1, self.whole(0, end[0] - 1)))
        return [*nodes, last if len(end) == 2 and self.chance(0.3) else layer("Flatten")]

    def last_positions(self, shape):
        """Return layers from any shape to logits at each of its positions."""
        start = []
        if len(shape) == 1:
            steps, width = self.choose(2, self.whole(3, 20)), self.whole(1, 9)
            start = [self.dense(steps * width), layer("Reshape", (steps, width))]
        classes = self.choose(2, 3, 4, self.whole(5, 20))
        return [*start, layer("Dense", classes, use_bias=self.maybe(0.1, False))]

    def of_positions(self, shape, blocks):
        """Return layers that work on the last axis alone."""
        nodes = []
        for _ in range(blocks):
            graphs = ["graph", "attention", "block", "places"] * (len(shape) == 2)
            kind = self.choose("dense", "dense", "pointwise", "gate", "gated", "softmax", *graphs)
            if kind == "dense":
                new = [self.dense(self.choose(self.whole(1, 5), self.whole(1, 40)))]
            elif kind == "pointwise":
                new = self.pointwise(shape)
            elif kind == "graph":
                new = [self.graph_conv(shape)]
            elif kind == "attention":
                new = [self.attention(shape)]
            elif kind == "block":
                new = [self.transformer(shape)]
            elif kind == "places":
                new = [self.places(shape)]
            elif kind == "gate":
                new = [call("", "Gate", self.whole(1, 9))]
            elif kind == "gated":
                times, unit = self.gated()
                new = [layer("Dense", times * self.whole(1, 9), unit)]
            else:
                new = [layer("Softmax")]
            nodes, shape = [*nodes, *new], after(new, shape, self.shared)
        return nodes

    def graph_conv(self, shape):
        """A layer over a random graph whose nodes are the positions."""
        nodes = shape[0]
        edges = tuple((self.whole(0, nodes - 1), self.whole(0, nodes - 1))
                      for _ in range(self.whole(0, 2 * nodes)))  # fmt: skip
        graph = call(
            "data", "Graph", edges, nodes, directed=self.maybe(0.3, True),
            normalise=self.maybe(0.4, self.choose("rows", "none")), loops=self.maybe(0.3, False),
        )  # fmt: skip
        features = None
        if shape[-1] == 1 and self.chance(0.7):
            n, fill = self.choose(1, self.whole(2, 9), 70), self.choose(0.1, 0.5)
            drawn = f"random.random(({nodes}, {n})) * (random.random(({nodes}, {n})) < {fill})"
            start = f"(lambda random: {drawn})(np.random.default_rng({self.whole(0, 99)}))"
            features = Source(f"data.Sparse({start})")
        return layer(
            "GraphConv", self.choose(self.whole(1, 5), self.whole(1, 40)), graph,
            self.activation(), use_bias=self.maybe(0.3, False),
            init=self.maybe(0.2, self.choose(0.2, *INITS)), features=features,
            constraint=self.constraint(),
        )  # fmt: skip

    def chain(self, shape, depth, blocks):
        nodes = []
        for _ in range(blocks):
            new = self.vector_block(shape, depth)
            nodes, shape = [*nodes, *new], after(new, shape, self.shared)
        return nodes

    # -- of images -----------------------------------------------------------------------------

    def kernel(self, n):
        return self.choose(1, 1, 2, 3, 3, 5, self.whole(1, 7), n, n + self.whole(1, 3))

    def padding(self, kernel, wild):
        """Zeros around an image; wild ones reach beyond the window."""
        kind = self.choose("same", "valid", "int", "pair", "four")
        if kind in ("same", "valid"):
            return kind
        most = [k + 4 if wild else max(0, k - 1) for k in kernel]
        if kind == "int":
            return self.whole(0, min(most))
        if kind == "pair":
            return self.whole(0, most[0]), self.whole(0, most[1])
        return tuple(self.whole(0, most[k // 2]) for k in range(4))

    def pair(self, draw):
        first = draw()
        return first if self.chance(0.6) else (first, draw())

    def far_conv(self, shape):
        """A convolution most of whose windows lie beyond the image: long strides, wide zeros."""
        stride = self.choose(1, self.whole(5, 32)), self.choose(1, self.whole(5, 32))
        return layer(
            "Conv2D", self.choose(1, 4, 16, 32), (self.choose(1, 1, 2), self.choose(1, 1, 7)),
            stride=stride, padding=tuple(self.choose(0, 0, self.whole(1, 12)) for _ in range(4)),
        )  # fmt: skip

    def conv(self, shape, filters=None, same=False):
        if filters is None and not same and self.chance(0.1):
            return self.far_conv(shape)
        h, w, c = shape
        kernel = self.kernel(h), self.kernel(w)
        kernel = kernel[0] if self.chance(0.5) else kernel
        groups = self.choose(*[g for g in (1, 1, 2, 3, 4, c) if c % g == 0])
        if filters is None:
            wide = self.chance(0.1) * self.choose(32, 33, 40)
            few = self.choose(1, self.whole(1, 4), max(1, 17 // groups))
            filters = groups * (-(-wide // groups) or few)
        elif filters % groups:
            groups = 1
        if same:
            kernel = self.choose(1, 2, 3, (3, 1), (1, 4), 5)
        pair = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        return layer(
            "Conv2D", filters, kernel,
            stride=None if same else self.maybe(
                0.4, self.pair(lambda: self.choose(1, 2, 2, 3, self.whole(1, 9)))
            ),
            padding=None if same else self.maybe(0.7, self.padding(pair, wild=self.chance(0.3))),
            groups=groups if groups > 1 else None,
            dilation=self.maybe(0.2, self.pair(lambda: self.whole(1, 3))),
            activation=self.activation(),
            use_bias=self.maybe(0.25, False),
            init=self.maybe(0.2, self.choose(
                0.1, *INITS, *KERNELS, *DELTAS * (c // groups <= filters // groups)
            )),
            constraint=self.constraint(),
        )  # fmt: skip

    def conv_transpose(self, shape):
        c = shape[2]
        kernel = self.pair(lambda: self.choose(1, 2, 3, 3, 4, self.whole(1, 6)))
        groups = self.choose(*[g for g in (1, 1, 1, 2, 3, 4, c) if c % g == 0])
        stride = self.maybe(0.7, self.pair(lambda: self.choose(1, 2, 2, 3, self.whole(1, 5))))
        dilation = self.maybe(0.2, self.pair(lambda: self.whole(1, 3)))
        pair = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padding = self.maybe(0.7, self.padding(pair, wild=self.chance(0.2)))
        more = None
        if padding not in (None, "same") and self.chance(0.4):
            most = [max(n, m) for n, m in zip(both(stride or 1), both(dilation or 1), strict=True)]
            more = self.whole(0, most[0] - 1), self.whole(0, most[1] - 1)
        return layer(
            "Conv2DTranspose", groups * self.choose(1, self.whole(1, 4), max(1, 17 // groups)),
            kernel,
            stride=stride, padding=padding, output_padding=more,
            groups=groups if groups > 1 else None, dilation=dilation,
            activation=self.activation(), use_bias=self.maybe(0.25, False),
            init=self.maybe(0.2, self.choose(0.1, *INITS)), constraint=self.constraint(),
        )  # fmt: skip

    def pool(self):
        kind = self.choose("MaxPool2D", "AvgPool2D")
        size = self.pair(lambda: self.choose(1, 2, 2, 3, 4))
        pair = size if isinstance(size, tuple) else (size, size)
        return layer(
            kind, size, stride=self.maybe(0.4, self.pair(lambda: self.whole(1, 4))),
            padding=self.maybe(0.5, self.padding(pair, wild=False)),
            count_padding=self.maybe(0.4 * (kind == "AvgPool2D"), True),
        )  # fmt: skip

    def image_block(self, shape, depth):  # noqa: PLR0911 - one for each kind
        kind = self.choose(
            "conv", "conv", "conv", "conv", "spread", "pool", "pool", "norm", "pointwise", "gated",
            "lrn", "upsample", "pad", "residual", "branches", "share", "last axis",
        )  # fmt: skip
        if depth > 1 and kind in ("residual", "branches", "share"):
            kind = "conv"
        if kind == "conv":
            return [self.conv(shape)]
        if kind == "conv" and self.chance(0.1):
            return [self.spectral(self.conv(shape))]
        if kind == "spread":
            return [self.conv_transpose(shape)]
        if kind == "pool":
            return [self.pool()]
        if kind == "last axis":
            return self.of_positions(shape, 1)
        if kind == "norm":
            return [self.batch_norm(), *self.maybe_list(0.5, self.pointwise_plain)]
        if kind == "pointwise":
            return self.pointwise(shape)
        if kind == "gated":
            times, unit = self.gated(named=False)
            return [self.conv(shape, times * self.whole(1, 9), same=True), unit]
        if kind == "lrn":
            return [layer("LocalResponseNorm", self.maybe(0.7, self.choose(1, 3, 7)) or 5,
                          alpha=self.choose(1e-4, 0.3), beta=self.choose(0.75, 0.5),
                          bias=self.maybe(0.3, 1.0))]  # fmt: skip
        if kind == "upsample":
            return [layer("UpSample2D", self.pair(lambda: self.whole(1, 3)))]
        if kind == "pad":
            channels = self.maybe(0.4, (self.whole(0, 2), self.whole(0, 2)))
            sides = self.choose(
                0, 1, (self.whole(0, 2), 1), tuple(self.whole(0, 2) for _ in "1234")
            )
            return [layer("ZeroPad2D", sides, channels=channels)]
        return getattr(self, f"image_{kind}")(shape, depth)

    def image_residual(self, shape, depth):
        c = shape[2]
        if self.chance(0.5):
            body = [self.conv(shape, self.whole(1, 9), same=True), *self.maybe_list(
                0.5, lambda: [self.batch_norm()]), layer("ReLU")]  # fmt: skip
            end = after(body, shape, self.shared)
            return [self._residual([*body, self.conv(end, c, same=True)], None)]
        filters, stride = self.width(), self.choose(1, 2)
        body = [layer("Conv2D", filters, 3, stride=stride, use_bias=False), self.batch_norm()]
        return [self._residual(body, layer("Conv2D", filters, 1, stride=stride))]

    def image_branches(self, shape, depth):
        join = self.maybe(0.4, "add")
        width = self.whole(1, 6)
        ways = [self.conv(shape, width, same=True) for _ in range(self.whole(1, 3))]
        if not join and self.chance(0.5):
            ways.append(layer("MaxPool2D", 3, stride=1, padding="same"))
        return [layer("Branches", *ways, join=join)]

    def image_share(self, shape, depth):
        if len(self.shared) > 2:
            return [self.conv(shape)]
        name = "abcdefgh"[len(self.shared)]
        self.shared.append((name, self.conv(shape, shape[2], same=True)))
        return [Use(name), *self.maybe_list(0.5, self.pointwise_plain), Use(name)]

    def image_chain(self, shape, depth, blocks):
        nodes, done = [], 0
        if len(shape) == 2:  # counts as one channel, which residual blocks would not give back
            shape = (*shape, 1)
            nodes = [self.conv(shape, same=True)]
            shape = after(nodes, shape, self.shared)
        for _ in range(20 * blocks):
            before = list(self.shared)
            new = self.image_block(shape, depth)
            try:
                end = after(new, shape, self.shared)
            except Misfit:
                self.shared = before
                continue
            if math.prod(end) > LARGEST:
                self.shared = before
                continue
            nodes, shape, done = [*nodes, *new], end, done + 1
            if done == blocks:
                break
        return nodes

    # -- of sequences --------------------------------------------------------------------------

    def conv1d(self, length, channels):
        kernel = self.choose(1, 2, 3, 3, 5, length, length + 1)
        groups = self.choose(*[g for g in (1, 1, 2, 3, channels) if channels % g == 0])
        units = self.choose(1, self.whole(1, 4), max(1, 17 // groups), max(1, 33 // groups))
        ends = self.choose("valid", "causal", "causal", self.whole(0, kernel + 2),
                           (self.whole(0, kernel), self.whole(0, 3)))  # fmt: skip
        return layer(
            "Conv1D", groups * units, kernel,
            stride=self.maybe(0.3, self.whole(1, 4)), padding=self.maybe(0.7, ends),
            groups=groups if groups > 1 else None, dilation=self.maybe(0.2, self.whole(1, 3)),
            activation=self.activation(), use_bias=self.maybe(0.25, False),
            init=self.maybe(0.2, self.choose(
                0.1, *INITS, *KERNELS, *DELTAS * (channels // groups <= units)
            )),
        )  # fmt: skip

    def pool1d(self):
        kind, size = self.choose("MaxPool1D", "AvgPool1D"), self.choose(1, 2, 2, 3, 4)
        ends = self.choose("same", self.whole(0, size - 1), (self.whole(0, size - 1), 0))
        return layer(
            kind, size, stride=self.maybe(0.4, self.whole(1, 4)), padding=self.maybe(0.5, ends),
            count_padding=self.maybe(0.4 * (kind == "AvgPool1D"), True),
        )  # fmt: skip

    def recurrent(self, sequences):
        """Return a recurrent layer, one way or both, of all steps or of some."""
        kind = self.choose("SimpleRNN", "LSTM", "GRU")
        inner = layer(
            kind, min(self.width(), 70),
            activation=self.maybe(0.3 * (kind == "SimpleRNN"), "relu"),
            reset_after=self.maybe(0.5 * (kind == "GRU"), False),
            forget_bias=self.maybe(0.2 * (kind == "LSTM"), 0.0),
            return_sequences=True if sequences else None, reverse=self.maybe(0.3, True),
            dropout=self.maybe(0.15, 0.3), recurrent_dropout=self.maybe(0.15, 0.4),
            use_bias=self.maybe(0.2, False), hold=self.maybe(0.2, True),
            init=self.maybe(0.2, self.choose(0.2, "he")),
            recurrent_init=self.maybe(0.2, self.choose(0.1, "xavier")),
        )  # fmt: skip
        if self.chance(0.3):
            return call("", "Counted", inner, self.whole(1, 6))
        if self.chance(0.25):
            merge = self.maybe(0.6, self.choose("concat", "add", "multiply", "average"))
            back = layer(
                self.choose("LSTM", "GRU"), self.width() if merge is None else inner.args[0],
                return_sequences=True if sequences else None,
                reverse=None if inner.get("reverse") else True,
            )  # fmt: skip
            return layer("Bidirectional", inner, merge=merge, backward=self.maybe(0.3, back))
        return inner

    def sequence_block(self, shape):
        kind = self.choose(
            "conv",
            "conv",
            "conv",
            "pool",
            "norm",
            "pointwise",
            "recurrent",
            "recurrent",
            "recurrent",
            "step",
        )
        if kind == "step" and shape[0] <= 4:
            inner = call("steep", "Sequential", self.dense(min(self.width(), 40), init=False))
            return [layer("TimeDistributed", inner)]
        kind = "recurrent" if kind == "step" else kind
        if kind == "recurrent":
            return [self.recurrent(True)]
        if kind == "conv":
            return [self.conv1d(*shape)]
        if kind == "pool":
            return [self.pool1d()]
        if kind == "norm":
            return [self.batch_norm(), *self.maybe_list(0.5, self.pointwise_plain)]
        return self.pointwise(shape)

    def sequence_chain(self, shape, blocks):
        nodes, done = [], 0
        while done < blocks:
            new = self.sequence_block(shape)
            try:
                end = after(new, shape, self.shared)
            except Misfit:
                continue
            if math.prod(end) <= LARGEST:
                nodes, shape, done = [*nodes, *new], end, done + 1
        if self.chance(0.3):
            nodes.append(layer(self.choose("GlobalAvgPool1D", "GlobalMaxPool1D")))
        elif len(shape) == 2 and self.chance(0.4):
            nodes.append(self.recurrent(False))
        return nodes

    # -- functional models ---------------------------------------------------------------------

    def fork(self, shape):
        """Ways of a functional model that part and meet again."""
        op = self.choose("add", "subtract", "multiply", "concat")
        width = self.width()
        count = 2 if op in ("subtract", "multiply", "add") else self.whole(1, 3)
        ways = [tuple(self.flat(shape, width)) for _ in range(count)]
        if op != "concat" and shape == (width,) and self.chance(0.5):
            ways[1] = ()
        return Fork(op, tuple(ways))

    def meet(self, shape, second):
        width = shape[0]
        return Meet(self.choose("add", "multiply", "concat"), tuple(self.flat(second, width)))

    def flat(self, shape, width):
        """Return layers from any shape to a vector of a given width."""
        start = [layer("Flatten")] if len(shape) > 1 else []
        more = self.chain((math.prod(shape),), 2, 1) if self.chance(0.4) else []
        end = after([*start, *more], shape, self.shared)
        flat = [layer("Flatten")] if len(end) > 1 else []
        return [*start, *more, *flat, self.dense(width)]


__all__ = ["PLAIN", "STEEP", "Body", "Call", "layer"]
