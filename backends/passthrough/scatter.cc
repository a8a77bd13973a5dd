#include "backends/passthrough/scatter.h"

#include <algorithm>
#include <cstring>

namespace fsd::passthrough {

size_t BytesOf(backends::IoVectors parts) {
  size_t bytes = 0;
  for (const iovec& part : parts) bytes += part.iov_len;
  return bytes;
}

size_t Scatter(std::span<const char> bytes, backends::IoVectors destination) {
  size_t copied = 0;
  for (const iovec& part : destination) {
    const size_t here = std::min(part.iov_len, bytes.size() - copied);
    if (here == 0) continue;
    std::memcpy(part.iov_base, bytes.data() + copied, here);
    copied += here;
  }
  return copied;
}

size_t Gather(backends::IoVectors source, std::span<char> bytes) {
  size_t copied = 0;
  for (const iovec& part : source) {
    const size_t here = std::min(part.iov_len, bytes.size() - copied);
    if (here == 0) continue;
    std::memcpy(bytes.data() + copied, part.iov_base, here);
    copied += here;
  }
  return copied;
}

}  // namespace fsd::passthrough
