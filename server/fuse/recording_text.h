// How RecordingFilesystem writes down what it was asked.
#ifndef FSD_SERVER_FUSE_RECORDING_TEXT_H_
#define FSD_SERVER_FUSE_RECORDING_TEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "backends/filesystem.h"

namespace fsd::fuse {

inline uint64_t Number(backends::NodeId node) { return static_cast<uint64_t>(node); }
inline uint64_t Number(backends::FileHandle file) { return static_cast<uint64_t>(file); }

// "fh=5", or "fh=none".
std::string HandleText(std::optional<backends::FileHandle> file);
// What is to change, each led by a space; " nothing" otherwise.
std::string ChangesText(const backends::AttributeChanges& changes);
// What comes along besides the umask, led by commas.
std::string AlongText(const backends::Creation& creation);
std::string OptionsText(const backends::OpenOptions& options);
std::string LockText(const backends::FileLock& lock);

}  // namespace fsd::fuse

#endif  // FSD_SERVER_FUSE_RECORDING_TEXT_H_
