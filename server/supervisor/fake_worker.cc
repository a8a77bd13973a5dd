// A worker for the supervisor's tests: what it does is told by its export's tag, and, once a
// front-end is connected, by the letters that the front-end writes.
//
// Tags: "exit-1", "exit-3", "exit-5" at once · "exit-1-next": as "exit-1" if the source holds a
// file "next" · "silent" says no hello · "garbage" · "wrong-uid" · "wrong-version" · "status-first"
// · "exit-3-says": as "exit-3", saying why · "fails-late": says so after its hello · "hello-twice"
// · "bad-state" · "mute": ready, then never answers · "hang-up": ready, then closes its channel ·
// "flood": ready, then floods · "no-status": says hello and no more · "deaf": ready, then reads
// nothing any more · "oversized", "empty", "descriptors": ready, then sends a datagram that is too
// large, one of no bytes, many with descriptors · "late-uid": ready, then speaks for another export
// · "absurd": ready, with the greatest numbers there are, and then with the least · "bad-lack":
// reports an unknown lack · "rewriter": ready only if it could not change its specification ·
// "no-stop": ignores Stop · "clings": ignores Disconnect · "stuck": says so when it is to stop ·
// "unlisting": does not say what is in flight · "lists-too-much": says more than it may ·
// "report": writes what it was born with to fd 1 and ends · asked to be adopted, "clams-up" does
// not answer, "dies-adopted" exits, "another-uid" hands over another export, "another-socket" a
// socket that listens elsewhere, "no-socket" none, "loose-counters" counters that can shrink,
// "many" more descriptors than two, "bare" none, "twice" all of it twice, "smuggler" them in a
// status · "ages": speaks version 1 to who comes later · "drains", "retires": to that one, it does
// · "newer": is of the next release and says what this one does not know · "hands-over": as if
// adopted, unasked, once ready · anything else: behaves. Letters: 'm' a guest mounts · 'r' a
// request is refused an inode · 'f' the guest forgets some · 'h' host handles are missing, or not
// any more · 'x' exit(7) · 'a' abort · 'p' answers with "pong" · 'c' with the digit of its cache
// policy · 'v' with that of its log level. A level that it is told becomes the target of the
// source's link "level".
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proto/fsd/internal/worker.pb.h"
#include "server/ipc/inherited_fds.h"
#include "server/ipc/worker_channel.h"
#include "server/os/memory_file.h"
#include "server/os/unique_fd.h"
#include "server/os/unix_socket.h"

namespace fsd {
namespace {

using internal::FromWorker;
using internal::WorkerStatus;

class FakeWorker {
 public:
  FakeWorker(internal::WorkerSpec spec, ipc::WorkerChannel channel)
      : spec_(std::move(spec)), channel_(std::move(channel)) {}

  int Serve();

 private:
  bool Is(std::string_view tag) const { return spec_.spec().tag() == tag; }
  void Hello();
  void Status(WorkerStatus::State state);
  void Failure(std::string_view reason);
  void AbsurdStatus(uint64_t number);
  void Inflight(uint64_t number);
  void HandOver();
  void SendRaw(std::string_view bytes, std::span<const int> fds = {});
  void MisbehaveOnceReady();
  void AcceptChannel();
  void OnMessage();
  void OnFrontEnd();

  internal::WorkerSpec spec_;
  ipc::WorkerChannel channel_;
  os::UniqueFd front_end_;
  uint64_t inodes_refused_ = 0;
  bool inodes_spent_ = false;
  internal::WorkerStatus::HandleLack handle_lack_ = internal::WorkerStatus::HANDLE_LACK_NONE;
  bool landlock_lacking_ = false;
  bool devices_refused_ = false;
  WorkerStatus::State state_ = WorkerStatus::STATE_LISTENING;
  bool draining_ = spec_.draining();
  internal::ExportSpec::Qos qos_ = spec_.spec().qos();
  bool retiring_ = false;
  int64_t connections_ = 0;
  bool ready_ = false;
  int hellos_ = 0;
  bool channel_open_ = true;
};

void FakeWorker::SendRaw(std::string_view bytes, std::span<const int> fds) {
  (void)os::SendWithFds(channel_.fd(), std::as_bytes(std::span(bytes)), fds);
}

void FakeWorker::AbsurdStatus(uint64_t number) {
  FromWorker message;
  WorkerStatus& status = *message.mutable_status();
  status.set_state(WorkerStatus::STATE_MOUNTED);
  status.set_inodes(number);
  status.set_open_files(number);
  status.set_connections_accepted(number);
  status.set_connections_refused(number);
  status.set_inodes_refused(number);
  internal::Connection& connection = *status.mutable_connection();
  connection.set_since_unix_nanos(number == 0 ? INT64_MIN : INT64_MAX);
  connection.set_virtio_features(number);
  connection.set_protocol_features(number);
  connection.set_queues(static_cast<uint32_t>(number));
  connection.set_fuse_major(static_cast<uint32_t>(number));
  connection.set_fuse_minor(static_cast<uint32_t>(number));
  connection.set_init_flags(number);
  (void)channel_.Send(message);
}

void FakeWorker::MisbehaveOnceReady() {
  if (Is("oversized")) SendRaw(std::string(ipc::kMaxMessageBytes + 1, 'x'));
  if (Is("empty")) SendRaw("");
  if (Is("late-uid")) Hello();
  if (Is("absurd")) {
    AbsurdStatus(UINT64_MAX);
    AbsurdStatus(0);
  }
  if (Is("descriptors")) {
    const std::vector<int> fds(os::kMaxFdsPerMessage, ipc::kSourceDirectoryFd);
    FromWorker message;
    message.mutable_status()->set_state(WorkerStatus::STATE_LISTENING);
    for (int i = 0; i < 16; ++i) SendRaw(message.SerializeAsString(), fds);
  }
  if (Is("hang-up")) {
    channel_ = ipc::WorkerChannel(os::UniqueFd());
    channel_open_ = false;
  }
  while (Is("deaf")) ::pause();
}

void FakeWorker::Hello() {
  FromWorker message;
  FromWorker::Hello& hello = *message.mutable_hello();
  hello.set_version(ipc::kProtocolVersion + (Is("wrong-version") || Is("newer") ? 1 : 0));
  if (Is("newer")) hello.set_oldest_version(ipc::kProtocolVersion);
  if (++hellos_ > 1 && Is("ages")) hello.set_version(1);
  if (hellos_ > 1 && Is("drains")) draining_ = true;
  if (hellos_ > 1 && Is("retires")) retiring_ = true;
  const bool lies = Is("wrong-uid") || (Is("late-uid") && ready_);
  message.mutable_hello()->set_export_uid(lies ? "another" : spec_.export_uid());
  (void)channel_.Send(message);
}

void FakeWorker::Status(WorkerStatus::State state) {
  state_ = state;
  FromWorker message;
  message.mutable_status()->set_draining(draining_);
  message.mutable_status()->set_retiring(retiring_);
  if (qos_.ByteSizeLong() > 0) *message.mutable_status()->mutable_qos() = qos_;
  if (front_end_.valid()) {
    message.mutable_status()->mutable_connection()->set_since_unix_nanos(connections_);
  }
  message.mutable_status()->set_state(state);
  message.mutable_status()->set_inodes_refused(inodes_refused_);
  message.mutable_status()->set_inodes_spent(inodes_spent_);
  message.mutable_status()->set_handle_lack(handle_lack_);
  message.mutable_status()->set_landlock_lacking(landlock_lacking_);
  message.mutable_status()->set_devices_refused(devices_refused_);
  (void)channel_.Send(message);
}

// Two requests, the younger first.
void FakeWorker::Inflight(uint64_t number) {
  if (Is("unlisting")) return;
  FromWorker message;
  FromWorker::InflightRequests& list = *message.mutable_inflight();
  list.set_number(number);
  list.set_total(7);
  const int count = Is("lists-too-much") ? static_cast<int>(ipc::kMaxInflightRequests) + 5 : 2;
  for (int i = 1; i <= count; ++i) {
    internal::InflightRequest& request = *list.add_requests();
    request.set_unique(static_cast<uint64_t>(i));
    request.set_age_nanos(static_cast<uint64_t>(i));
  }
  (void)channel_.Send(message);
}

void FakeWorker::HandOver() {
  if (Is("clams-up")) return;
  if (Is("dies-adopted")) std::exit(7);
  FromWorker message;
  *message.mutable_handover()->mutable_spec() = spec_;
  if (Is("another-uid")) message.mutable_handover()->mutable_spec()->set_export_uid("another");
  if (Is("many") || Is("smuggler")) {
    if (Is("smuggler")) message.mutable_status()->set_state(state_);
    return SendRaw(
        message.SerializeAsString(),
        std::vector<int>(Is("many") ? os::kMaxFdsPerMessage : 2, ipc::kSourceDirectoryFd));
  }
  if (Is("bare")) return (void)channel_.Send(message);
  const int loose = ::memfd_create("loose", MFD_CLOEXEC);
  const int socket = Is("another-socket") ? ipc::kControlListenerFd
                     : Is("no-socket")    ? ipc::kSourceDirectoryFd
                                          : ipc::kVhostListenerFd;
  const os::UniqueFd larger = *os::CreateMemoryFile("larger", 1 << 20);
  const int counters = Is("loose-counters")    ? loose
                       : Is("larger-counters") ? larger.get()
                                               : ipc::kCountersFd;
  (void)channel_.SendHandover(message, socket, counters);
  if (Is("twice")) (void)channel_.SendHandover(message, socket, counters);
}

void FakeWorker::Failure(std::string_view reason) {
  FromWorker message;
  message.mutable_failure()->set_reason(std::string(reason));
  (void)channel_.Send(message);
}

void FakeWorker::AcceptChannel() {
  auto accepted = os::AcceptUnix(ipc::kControlListenerFd);
  if (!accepted.ok()) return;
  channel_ = ipc::WorkerChannel(*std::move(accepted));
  channel_open_ = true;
}

void FakeWorker::OnMessage() {
  auto message = channel_.ReceiveToWorker();
  if (!message.ok()) {
    channel_open_ = false;  // the supervisor is gone; serve on
    return;
  }
  if (!message->has_value()) return;
  if ((*message)->has_stop() && Is("stuck")) {
    FromWorker stuck;
    stuck.mutable_status()->set_state(WorkerStatus::STATE_LISTENING);
    stuck.mutable_status()->set_stuck(true);
    (void)channel_.Send(stuck);
    return;
  }
  if ((*message)->has_stop() && !Is("no-stop")) std::exit(0);
  if ((*message)->has_query_status() && !Is("mute")) Status(state_);
  if ((*message)->has_adopt()) HandOver();
  if ((*message)->has_list_inflight()) Inflight((*message)->list_inflight().number());
  if ((*message)->has_set_draining()) {
    draining_ = (*message)->set_draining().draining();
    Status(state_);
  }
  if ((*message)->has_set_qos()) {
    qos_ = (*message)->set_qos().qos();
    Status(state_);
  }
  if ((*message)->has_disconnect() && !Is("clings")) {
    front_end_.reset();
    Status(WorkerStatus::STATE_LISTENING);
  }
  if ((*message)->has_retire()) {
    retiring_ = true;
    Status(state_);
  }
  if ((*message)->has_set_log_level()) {
    (void)!::symlinkat(std::to_string((*message)->set_log_level().log_level()).c_str(),
                       ipc::kSourceDirectoryFd, "level");
  }
  if ((*message)->has_set_slow_request()) {
    (void)!::symlinkat(std::to_string((*message)->set_slow_request().nanos()).c_str(),
                       ipc::kSourceDirectoryFd, "slow");
  }
  if (!(*message)->has_hello() || Is("silent")) return;
  if (Is("exit-3-says")) {
    Failure("chroot:\n\033[31mno\303\244 " + std::string(5000, 'x'));
    std::exit(3);
  }
  if (Is("garbage")) return SendRaw("\xff\xff\xff\xff");
  if (!Is("status-first")) Hello();
  if (Is("hello-twice")) Hello();
  if (Is("fails-late")) return Failure("late");
  if (Is("no-status")) return;
  if (Is("bad-lack")) handle_lack_ = static_cast<WorkerStatus::HandleLack>(77);
  Status(Is("bad-state") ? static_cast<WorkerStatus::State>(77) : state_);
  if (Is("newer")) SendRaw("\xfa\x3e\x01x");  // field 1007, of one byte
  if (Is("hands-over")) HandOver();
  ready_ = true;
  MisbehaveOnceReady();
}

void FakeWorker::OnFrontEnd() {
  char letter = 0;
  const ssize_t got = ::read(front_end_.get(), &letter, 1);
  if (got == 0) {
    front_end_.reset();
    return Status(WorkerStatus::STATE_LISTENING);
  }
  if (letter == 'm') Status(WorkerStatus::STATE_MOUNTED);
  if (letter == 'r') {
    ++inodes_refused_;
    inodes_spent_ = true;
    Status(WorkerStatus::STATE_CONNECTED);
  }
  if (letter == 'f') {
    inodes_spent_ = false;
    Status(WorkerStatus::STATE_CONNECTED);
  }
  if (letter == 'h') {
    handle_lack_ = handle_lack_ == WorkerStatus::HANDLE_LACK_NONE
                       ? WorkerStatus::HANDLE_LACK_NOT_PERMITTED
                       : WorkerStatus::HANDLE_LACK_NONE;
    Status(WorkerStatus::STATE_CONNECTED);
  }
  if (letter == 'l') {
    landlock_lacking_ = !landlock_lacking_;
    Status(WorkerStatus::STATE_CONNECTED);
  }
  if (letter == 'd') {
    devices_refused_ = !devices_refused_;
    Status(WorkerStatus::STATE_CONNECTED);
  }
  if (letter == 'x') std::exit(7);
  if (letter == 'a') ::abort();
  if (letter == 'p') (void)!::write(front_end_.get(), "pong", 4);
  if (letter == 'c') {
    const auto text = static_cast<char>('0' + spec_.spec().cache());
    (void)!::write(front_end_.get(), &text, 1);
  }
  if (letter == 's') {
    const auto text = static_cast<char>('0' + spec_.slow_request_nanos());
    (void)!::write(front_end_.get(), &text, 1);
  }
  if (letter == 'v') {
    const auto text = static_cast<char>('0' + spec_.log_level());
    (void)!::write(front_end_.get(), &text, 1);
  }
}

int FakeWorker::Serve() {
  while (true) {
    if (ready_ && Is("flood")) {
      Status(WorkerStatus::STATE_LISTENING);
      continue;
    }
    pollfd polled[] = {
        {.fd = channel_open_ ? channel_.fd() : ipc::kControlListenerFd,
         .events = POLLIN,
         .revents = 0},
        {.fd = ready_ && !front_end_.valid() && !retiring_ ? ipc::kVhostListenerFd : -1,
         .events = POLLIN,
         .revents = 0},
        {.fd = front_end_.get(), .events = POLLIN, .revents = 0},
    };
    ::poll(polled, 3, -1);
    if (polled[0].revents != 0) channel_open_ ? OnMessage() : AcceptChannel();
    if (polled[2].revents != 0) OnFrontEnd();
    if (polled[1].revents != 0) {
      auto accepted = os::AcceptUnix(ipc::kVhostListenerFd);
      if (!accepted.ok() || draining_) continue;
      ++connections_;
      front_end_ = *std::move(accepted);
      Status(WorkerStatus::STATE_CONNECTED);
    }
  }
}

std::string FieldOfProcStatus(std::string_view field) {
  std::FILE* const file = std::fopen("/proc/self/status", "re");
  char line[256];
  std::string value;
  while (std::fgets(line, sizeof line, file) != nullptr) {
    if (std::string_view(line).starts_with(field)) value = line;
  }
  std::fclose(file);
  return value;
}

int Report(char** argv, char** envp) {
  std::vector<int> fds;
  DIR* const directory = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != ::dirfd(directory)) fds.push_back(fd);
  }
  ::closedir(directory);
  std::sort(fds.begin(), fds.end());
  std::printf("fds:");
  for (const int fd : fds) std::printf(" %d", fd);
  struct stat input, null;
  ::fstat(0, &input);
  ::stat("/dev/null", &null);
  std::printf("\nstdin is null: %d\n", input.st_rdev == null.st_rdev);
  char cwd[4096];
  std::printf("pid: %d\nsession: %d\ncwd: %s\n", ::getpid(), ::getsid(0),
              ::getcwd(cwd, sizeof cwd));
  std::printf("uid: %u gid: %u\n", ::getuid(), ::getgid());
  std::printf("argv: %s\nenvironment: %s\n", argv[0], envp[0] == nullptr ? "none" : envp[0]);
  std::printf("%s%s", FieldOfProcStatus("SigBlk:").c_str(), FieldOfProcStatus("SigIgn:").c_str());
  std::fflush(stdout);
  return 0;
}

// Whether it can be changed in any way.
bool CanRewriteSpec() {
  const off_t size = ::lseek(ipc::kWorkerSpecFd, 0, SEEK_END);
  return ::pwrite(ipc::kWorkerSpecFd, "x", 1, 0) == 1 || ::ftruncate(ipc::kWorkerSpecFd, 0) == 0 ||
         ::ftruncate(ipc::kWorkerSpecFd, size + 1) == 0 ||
         ::mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, ipc::kWorkerSpecFd, 0) !=
             MAP_FAILED ||
         ::fcntl(ipc::kWorkerSpecFd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0;
}

internal::WorkerSpec ReadSpec() {
  std::string bytes(static_cast<size_t>(::lseek(ipc::kWorkerSpecFd, 0, SEEK_END)), '\0');
  if (::pread(ipc::kWorkerSpecFd, bytes.data(), bytes.size(), 0) < 0) std::exit(2);
  internal::WorkerSpec spec;
  if (!spec.ParseFromString(bytes)) std::exit(2);
  return spec;
}

int Main(char** argv, char** envp) {
  const internal::WorkerSpec spec = ReadSpec();
  const std::string& tag = spec.spec().tag();
  if (tag == "report") return Report(argv, envp);
  if (tag == "exit-1") return 1;
  if (tag == "exit-3") return 3;
  if (tag == "rewriter" && CanRewriteSpec()) return 1;
  if (tag == "exit-5") return 5;
  if (tag == "exit-1-next" && ::faccessat(ipc::kSourceDirectoryFd, "next", F_OK, 0) == 0) return 1;
  pollfd polled{.fd = ipc::kControlListenerFd, .events = POLLIN, .revents = 0};
  ::poll(&polled, 1, -1);
  auto channel = os::AcceptUnix(ipc::kControlListenerFd);
  if (!channel.ok()) return 2;
  return FakeWorker(spec, ipc::WorkerChannel(*std::move(channel))).Serve();
}

}  // namespace
}  // namespace fsd

int main(int, char** argv, char** envp) { return fsd::Main(argv, envp); }
