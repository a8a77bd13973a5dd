#include "tests/harness/steady_guest.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors/status_macros.h"

namespace fsd::harness {
namespace {

constexpr uint64_t kBlockBytes = 16384;
constexpr uint64_t kBlocks = 64;
// It is to be disturbed, not to disturb.
constexpr std::chrono::microseconds kPause{500};

std::string BlockOf(uint64_t round) {
  std::string block(kBlockBytes, '\0');
  uint64_t word = round * 0x9e3779b97f4a7c15;
  for (size_t at = 0; at < block.size(); at += sizeof word) {
    word ^= word << 13;
    word ^= word >> 7;
    word ^= word << 17;
    std::memcpy(block.data() + at, &word, sizeof word);
  }
  return block;
}

}  // namespace

SteadyGuest::SteadyGuest(std::unique_ptr<FrontEnd> front_end)
    : front_end_(std::move(front_end)), fuse_(*front_end_) {}

SteadyGuest::~SteadyGuest() { Stop(); }

absl::StatusOr<std::unique_ptr<SteadyGuest>> SteadyGuest::Start(const std::string& socket_path) {
  FSD_ASSIGN_OR_RETURN(auto front_end, FrontEnd::Connect(socket_path, {}));
  FSD_RETURN_IF_ERROR(front_end->Start());
  std::unique_ptr<SteadyGuest> guest(new SteadyGuest(std::move(front_end)));
  FSD_RETURN_IF_ERROR(guest->Begin());
  guest->thread_ = std::thread([raw = guest.get()] { raw->Run(); });
  return guest;
}

SteadyGuest::Account SteadyGuest::Stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
  account_.requests = requests_;
  return account_;
}

template <typename Call>
absl::StatusOr<FuseReply> SteadyGuest::Timed(const char* name, Call call) {
  const auto begun = std::chrono::steady_clock::now();
  FSD_ASSIGN_OR_RETURN(FuseReply reply, call());
  account_.slowest =
      std::max(account_.slowest, std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::steady_clock::now() - begun));
  ++requests_;
  if (reply.error != 0) return ErrnoStatus(Errno(reply.error), name);
  return reply;
}

absl::Status SteadyGuest::Begin() {
  FSD_RETURN_IF_ERROR(fuse_.Init().status());
  FSD_ASSIGN_OR_RETURN(const FuseReply created, Timed("CREATE", [this] {
                         return fuse_.Create(FUSE_ROOT_ID, "steady", 0600, O_RDWR);
                       }));
  fuse_open_out open{};
  std::memcpy(&open, created.body.data() + sizeof(fuse_entry_out), sizeof open);
  node_ = created.As<fuse_entry_out>().nodeid;
  handle_ = open.fh;
  return absl::OkStatus();
}

absl::Status SteadyGuest::Round(uint64_t round) {
  const uint64_t offset = round % kBlocks * kBlockBytes;
  const std::string block = BlockOf(round);
  FSD_ASSIGN_OR_RETURN(const FuseReply written,
                       Timed("WRITE", [&] { return fuse_.Write(node_, handle_, offset, block); }));
  if (written.As<fuse_write_out>().size != block.size()) {
    return absl::InternalError("a short write");
  }
  FSD_ASSIGN_OR_RETURN(const FuseReply read, Timed("READ", [&] {
                         return fuse_.Read(node_, handle_, offset, kBlockBytes);
                       }));
  if (read.body.size() != block.size() ||
      std::memcmp(read.body.data(), block.data(), block.size()) != 0) {
    return absl::DataLossError(absl::StrCat("round ", round, " reads what it has not written"));
  }
  FSD_RETURN_IF_ERROR(
      Timed("LOOKUP", [this] { return fuse_.Lookup(FUSE_ROOT_ID, "steady"); }).status());
  return Timed("GETATTR", [this] { return fuse_.GetAttributes(node_); }).status();
}

void SteadyGuest::Run() {
  for (uint64_t round = 0; !stopping_ && account_.problem.ok(); ++round) {
    account_.problem = Round(round);
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace fsd::harness
