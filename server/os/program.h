// RunProgram: another program, run to its end.
#ifndef FSD_SERVER_OS_PROGRAM_H_
#define FSD_SERVER_OS_PROGRAM_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace fsd::os {

// Runs the program at `path` without a shell, with these arguments (after its name), an empty
// environment, no descriptor but the standard ones and no signal blocked or ignored, and waits for
// it. Any thread. The error says how it ended and the beginning of what it wrote, in printable
// ASCII; a program that has not ended in time is killed.
absl::Status RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                        std::chrono::milliseconds patience);

}  // namespace fsd::os

#endif  // FSD_SERVER_OS_PROGRAM_H_
