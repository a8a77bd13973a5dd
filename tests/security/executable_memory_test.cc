// The wall against new code: memory that was written to is never executable.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"
#include "tests/security/climb.h"
#include "tests/security/prison.h"

namespace fsd::security {
namespace {

std::string Mapped(void* memory) { return Outcome(memory == MAP_FAILED ? -1 : 0); }

void* Writable() {
  return ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

std::string MapExecutable(int fd, int protection) {
  const int anonymous = fd < 0 ? MAP_ANONYMOUS : 0;
  return Mapped(::mmap(nullptr, 4096, protection, MAP_PRIVATE | anonymous, fd, 0));
}

TEST(ExecutableMemory, NoneIsMade) {
  Prison prison;
  const std::vector<Behind> held = {
      {kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "done"}};
  ExpectTheyHold(
      prison, "executable memory",
      {
          {"mmap to execute",
           [](const Inmate&) { return MapExecutable(-1, PROT_READ | PROT_EXEC); }, held},
          {"mmap to write and execute",
           [](const Inmate&) { return MapExecutable(-1, PROT_WRITE | PROT_EXEC); }, held},
          {"mmap of a file of the export",
           [](const Inmate& in) {
             return MapExecutable(::openat(in.root, "file", O_RDONLY | O_CLOEXEC),
                                  PROT_READ | PROT_EXEC);
           },
           held},
          {"mmap of a memory file",
           [](const Inmate&) {
             return MapExecutable(::memfd_create("code", MFD_CLOEXEC), PROT_READ | PROT_EXEC);
           },
           held},
          {"mprotect of what was written",
           [](const Inmate&) { return Outcome(::mprotect(Writable(), 4096, PROT_EXEC)); }, held},
          {"pkey_mprotect",
           [](const Inmate&) { return Outcome(::pkey_mprotect(Writable(), 4096, PROT_EXEC, -1)); },
           held},
          {"shared memory of System V",
           [](const Inmate&) {
             const int segment = ::shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
             if (segment < 0) return Outcome(segment);
             const void* memory = ::shmat(segment, nullptr, SHM_EXEC);
             ::shmctl(segment, IPC_RMID, nullptr);
             return Outcome(memory == reinterpret_cast<void*>(-1) ? -1 : 0);
           },
           held},
          {"a personality whose readable memory is executable",
           [](const Inmate&) { return Outcome(::personality(READ_IMPLIES_EXEC)); }, held},
          // The kernel writes there whatever a page's protection is.
          {"code, by /proc/self/mem",
           [](const Inmate& in) {
             return Outcome(::openat(in.proc, "self/mem", O_RDWR | O_CLOEXEC));
           },
           {{kEveryWall, "EROFS"},
            {kEveryWallOfChroot, "ENOENT"},
            {kEveryWallOfNone, "EACCES"},
            {kMounts, "EROFS"},
            {kLandlock, "EACCES"},
            {kNoWalls, "done"}}},
          {"execution of a memory file",
           [](const Inmate&) {
             const char* const none[] = {nullptr};
             const int program = ::memfd_create("program", MFD_CLOEXEC);
             return Outcome(::syscall(SYS_execveat, program, "", none, none, AT_EMPTY_PATH));
           },
           // An empty file is no program.
           {{kEveryMode, "SIGSYS"}, {kSystemCalls, "SIGSYS"}, {kNoWalls, "ENOEXEC"}}},
      });
}

}  // namespace
}  // namespace fsd::security
