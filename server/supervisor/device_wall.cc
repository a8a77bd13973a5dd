#include "server/supervisor/device_wall.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <iterator>

#include "server/os/unique_fd.h"

namespace fsd::supervisor {
namespace {

// bpf_cgroup_dev_ctx.access_type has the access in its upper half.
constexpr int32_t kOpening = (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE) << 16;

constexpr bpf_insn kProgram[] = {
    // r2 = access_type; r0 = 0, forbidden
    {.code = BPF_LDX | BPF_MEM | BPF_W,
     .dst_reg = BPF_REG_2,
     .src_reg = BPF_REG_1,
     .off = offsetof(bpf_cgroup_dev_ctx, access_type),
     .imm = 0},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 0},
    // opening: to the end; anything else: r0 = 1, allowed
    {.code = BPF_JMP | BPF_JSET | BPF_K,
     .dst_reg = BPF_REG_2,
     .src_reg = 0,
     .off = 1,
     .imm = kOpening},
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = 1},
    {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
};

int Bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

uint64_t Address(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

}  // namespace

ErrnoOr<void> ForbidDevices(int cgroup) {
  bpf_attr load{};
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insn_cnt = std::size(kProgram);
  load.insns = Address(kProgram);
  load.license = Address("");
  const os::UniqueFd program(Bpf(BPF_PROG_LOAD, load));
  if (!program.valid()) return Errno::Last();
  const os::UniqueFd directory(::openat(cgroup, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return Errno::Last();
  // Without flags: it takes the place of an earlier one, and those of the cgroups above, as a
  // service manager's, are asked too.
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(directory.get());
  attach.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  if (Bpf(BPF_PROG_ATTACH, attach) != 0) return Errno::Last();
  return {};
}

}  // namespace fsd::supervisor
