// Scatter, Gather: bytes of ours into a guest's split destination, and a guest's into ours.
#ifndef FSD_BACKENDS_PASSTHROUGH_SCATTER_H_
#define FSD_BACKENDS_PASSTHROUGH_SCATTER_H_

#include <cstddef>
#include <span>

#include "backends/filesystem.h"

namespace fsd::passthrough {

// The room there is.
size_t BytesOf(backends::IoVectors parts);

// Copies `bytes`, or as much as there is room for; results in how much.
size_t Scatter(std::span<const char> bytes, backends::IoVectors destination);

// Copies what `source` has, or as much as there is room for; results in how much.
size_t Gather(backends::IoVectors source, std::span<char> bytes);

}  // namespace fsd::passthrough

#endif  // FSD_BACKENDS_PASSTHROUGH_SCATTER_H_
