// In what parts the gradients of a convolution's weights are summed: functions of shapes alone, so that devices can sum
// alike. No sum lives here.
#pragma once
#include "base/window.h"

namespace steep {

// Images whose gradients of one panel of W are summed before those of the next group; of a depthwise
// convolution, of all of W.
constexpr long kImagesPerPanel = 8;
constexpr long kImagesPerProduct = 64;  // where images are the rows of one product for each group

// One pixel that one tap meets: images are rows of numbers.
bool one_pixel(const Window& w);
// Groups of images of one pixel, such as the products of an ensemble's members: all images at once.
bool pixelwise(const Window& w, long groups);
long images_per_group(const Window& w, long filters, long groups, bool depthwise);

// Of few filters, neighbouring pixels of a row of results that share a vector, 1 where nothing is gained: where that is
// cheapest for the results themselves, and for gradients of W.
long best_share(const Window& w, long filters);
long best_weight_share(const Window& w, long filters);
// What gradients of W are summed by: each share's pixels by themselves, ...
long weight_share(const Window& w, long filters, long groups);

// ... and of W with groups so many rows of results of an image, of `element` bytes each: what is made of a frame of zeros
// at once.
long forward_strip(const Window& w, long element);
long strip_rows(bool padded, long pitch, long step, long reach, long rows, long element);

}  // namespace steep
