// Child processes of a check: other users, and peers that hold locks or write at the same time.
//
// A child inherits the working directory and descriptors. It must not return from its function by
// other means than the function's value, which is an errno (0 for success) or another small number.
#ifndef TESTS_SEMANTICS_PROCESS_H_
#define TESTS_SEMANTICS_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace posix_check {

struct User {
  const char* name;
  uid_t uid;
  gid_t gid;
  std::vector<gid_t> groups;  // supplementary ones
};

// The users that the tables speak of: files belong to kOwner and its group.
extern const User kRoot;
extern const User kOwner;
extern const User kGroupMember;  // another user whose own group is the file's
extern const User kAlsoMember;   // another user who has the file's group as a supplementary one
extern const User kOther;

// What a signal's end of a child is reported as.
constexpr int kKilled = 255;

// Runs `work` as the user in a process of its own and returns its value.
int RunAs(const User& user, const std::function<int()>& work);
int RunInChild(const std::function<int()>& work);

// A process that runs beside the check until it is told to go on or has ended.
class Peer {
 public:
  // `work` is given a function that tells the check "here I am" and waits for Continue().
  using Work = std::function<int(const std::function<void()>& pause)>;
  explicit Peer(const Work& work);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Waits for the peer's next pause; false when it has ended instead.
  bool AwaitPause();
  void Continue();
  // Waits for its end; returns its value.
  int Wait();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int to_peer_ = -1;
  int from_peer_ = -1;
};

}  // namespace posix_check

#endif  // TESTS_SEMANTICS_PROCESS_H_
