// What the checks of the host are made of.
#ifndef FSD_SERVER_HOST_HOST_FACTS_H_
#define FSD_SERVER_HOST_HOST_FACTS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "server/supervisor/config.h"

namespace fsd::host {

struct KernelFacts {
  std::string release;                  // "6.1.0-18-amd64"
  std::set<std::string> missing_calls;  // system calls that fsd makes, and the kernel lacks
  bool has_statmount = false;           // Linux 6.8
  int landlock_abi = 0;                 // 0: none, or not switched on
  bool seccomp_kills = false;           // SECCOMP_RET_KILL_PROCESS
  bool has_sys_admin = false;           // CAP_SYS_ADMIN, effective
  std::string user_namespace_error;     // why none can be made; empty if one can
};

struct LimitFacts {
  uint64_t open_files = 0;  // RLIMIT_NOFILE, hard
  uint64_t host_files = 0;  // fs.file-max
  uint64_t host_files_used = 0;
  uint64_t pids = 0;     // kernel.pid_max
  uint64_t threads = 0;  // kernel.threads-max
};

struct CgroupFacts {
  std::string configured;  // as Config.cgroup
  std::string directory;   // empty: `error` says why there is none
  std::string error;
  bool is_ours = false;               // we may make cgroups in it and move processes
  std::set<std::string> controllers;  // that it can hand down
};

struct SubordinateIdFacts {
  bool needed = false;  // without CAP_SYS_ADMIN
  bool wanted = false;  // as Config.subordinate_ids
  std::string error;    // why there are none, or none can be mapped; empty if they can
};

struct SourceFacts {
  std::string path;
  bool answers = true;  // else its file system hangs, and the rest is not known
  int open_error = 0;   // errno
  bool is_directory = false;
  std::string filesystem;  // "ext4"; "0x1234" if it is not one of those with a name here
  int handle_error = 0;    // errno of name_to_handle_at(2)
};

struct DirectoryFacts {
  std::string key;  // of the configuration: "state_dir"
  std::string path;
  bool exists = false;  // else the rest is of the nearest that does, in which it is to be made
  int open_error = 0;   // errno; also if it is no directory
  uid_t owner = 0;
  uid_t user = 0;  // that we are
  bool others_write = false;
  int write_error = 0;       // errno of making a file in it
  int sync_error = 0;        // errno of fsync(2) of that file
  bool is_volatile = false;  // in memory: gone with the host
  uint64_t free_bytes = 0;
  uint64_t free_files = 0;
};

struct LeftoverFacts {
  std::vector<std::string> dead_sockets;     // of ours, on which nobody listens
  std::vector<std::string> damaged_records;  // set aside, as they could not be read
};

struct HostFacts {
  KernelFacts kernel;
  LimitFacts limits;
  CgroupFacts cgroup;
  SubordinateIdFacts subordinate_ids;
  std::vector<SourceFacts> sources;         // one for each of Config.allow_source
  std::vector<SourceFacts> export_sources;  // of exports, as far as they are not among those
  DirectoryFacts state;
  DirectoryFacts runtime;
  LeftoverFacts leftovers;
};

// What only a server that runs knows, besides its configuration.
struct ServerFacts {
  std::vector<std::string> export_sources;
  std::string cgroup_directory;  // that it divides among its workers; empty: none
};

// Reads all of them as this process meets them, under a valid `config`; `server`: if it is one that
// runs. Changes nothing that stays. Waits for file systems and programs, so not on a thread that
// others wait for.
HostFacts ReadHostFacts(const supervisor::Config& config, const ServerFacts* server = nullptr);

KernelFacts ReadKernelFacts();
LimitFacts ReadLimitFacts();
CgroupFacts ReadCgroupFacts(const std::string& configured);
// Of a server that divides `directory`; empty if it found none at its start. The controllers are
// those that its workers' cgroups have.
CgroupFacts ReadDividedCgroupFacts(const std::string& configured, const std::string& directory);
SubordinateIdFacts ReadSubordinateIdFacts(bool wanted, bool needed);
SourceFacts ReadSourceFacts(const std::string& path);
// Of each. One that `read` does not come back from in `patience` does not answer; it is not asked
// again before it has.
std::vector<SourceFacts> ReadSourcesFacts(
    const std::vector<std::string>& paths, std::chrono::milliseconds patience,
    const std::function<SourceFacts(const std::string&)>& read);
DirectoryFacts ReadDirectoryFacts(const std::string& key, const std::string& path);
// Of the sockets and records of these directories.
LeftoverFacts ReadLeftoverFacts(const std::string& state_dir, const std::string& runtime_dir);

}  // namespace fsd::host

#endif  // FSD_SERVER_HOST_HOST_FACTS_H_
