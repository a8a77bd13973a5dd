// A guest that sends anything: how a fuzzer's input becomes requests to a FUSE session.
//
// An input is a byte of options, then a row of requests: u16 bytes of it, u16 room for its reply,
// the bytes. Each is served before the next is looked at; what waits for a lock is answered when
// the session ends. Aborts if a request is answered twice or never, or by what is not a reply.
#ifndef FSD_TESTS_FUZZ_REQUEST_ROW_H_
#define FSD_TESTS_FUZZ_REQUEST_ROW_H_

#include <cstdint>
#include <span>

#include "backends/filesystem.h"

namespace fsd::fuzz {

void ServeRow(backends::Filesystem& filesystem, std::span<const uint8_t> input);

}  // namespace fsd::fuzz

#endif  // FSD_TESTS_FUZZ_REQUEST_ROW_H_
