#include "cli/create_options.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/decimal_number.h"
#include "cli/duration_syntax.h"
#include "cli/id_mapping_syntax.h"
#include "cli/printable.h"
#include "cli/quantity_syntax.h"
#include "cli/xattr_map_syntax.h"

namespace fsd::cli {
namespace {

using google::protobuf::Duration;
using google::protobuf::RepeatedPtrField;

// The words that an option takes, in the help's order, and what they mean.
template <typename Value>
using Choices = std::vector<std::pair<std::string, Value>>;

// Options of one group.
class Group {
 public:
  Group(CLI::App& command, std::string name) : command_(command), name_(std::move(name)) {}

  void Flag(const std::string& option, const std::string& help, std::function<void()> set) {
    command_.add_flag_callback(option, std::move(set), help)->group(name_);
  }

  // One of the words, each with its value.
  template <typename Value>
  void Choice(const std::string& option, const std::string& help, const Choices<Value>& choices,
              std::function<void(Value)> set) {
    std::string words;
    for (const auto& [word, value] : choices) words += (words.empty() ? "" : "|") + word;
    command_
        .add_option_function<std::string>(
            option,
            [option, choices, words, set](const std::string& text) {
              for (const auto& [word, value] : choices) {
                if (word == text) return set(value);
              }
              throw CLI::ValidationError(option, "'" + Printable(text) + "' is none of " + words);
            },
            help)
        ->type_name(words)
        ->group(name_);
  }

  void Time(const std::string& option, const std::string& help,
            std::function<void(const Duration&)> set) {
    command_
        .add_option_function<std::string>(
            option,
            [option, set](const std::string& text) {
              const auto duration = ParseDuration(text);
              if (!duration) {
                throw CLI::ValidationError(
                    option,
                    "'" + Printable(text) + "' is no duration such as 250ms, 1.5s, 2m, 1h or 1d");
              }
              set(*duration);
            },
            help)
        ->type_name("DURATION")
        ->group(name_);
  }

  // A number in a syntax of its own.
  void Amount(const std::string& option, const std::string& type, const std::string& help,
              std::optional<uint64_t> (*parse)(std::string_view), const std::string& examples,
              std::function<void(uint64_t)> set) {
    command_
        .add_option_function<std::string>(
            option,
            [option, parse, examples, set](const std::string& text) {
              const auto amount = parse(text);
              if (!amount) {
                throw CLI::ValidationError(
                    option, "'" + Printable(text) + "' is no amount such as " + examples);
              }
              set(*amount);
            },
            help)
        ->type_name(type)
        ->group(name_);
  }

  template <typename Number>
  void Count(const std::string& option, const std::string& help, std::function<void(Number)> set) {
    command_.add_option_function<Number>(option, std::move(set), help)
        ->type_name("N")
        ->check(DecimalNumber())
        ->group(name_);
  }

  // May be repeated; each occurrence is one word.
  void Words(const std::string& option, const std::string& type, const std::string& help,
             std::function<void(const std::string&)> add) {
    command_
        .add_option_function<std::vector<std::string>>(
            option,
            [add](const std::vector<std::string>& words) {
              for (const std::string& word : words) add(word);
            },
            help)
        ->type_name(type)
        ->allow_extra_args(false)
        ->group(name_);
  }

  // May be repeated; each occurrence is one element.
  template <typename Element>
  void List(const std::string& option, const std::string& type, const std::string& help,
            std::optional<Element> (*parse)(std::string_view), const std::string& forms,
            std::function<RepeatedPtrField<Element>*()> list) {
    command_
        .add_option_function<std::vector<std::string>>(
            option,
            [option, parse, forms, list](const std::vector<std::string>& texts) {
              for (const std::string& text : texts) {
                auto element = parse(text);
                if (!element) {
                  throw CLI::ValidationError(
                      option, "'" + Printable(text) + "' is not of the form " + forms);
                }
                *list()->Add() = *std::move(element);
              }
            },
            help)
        ->type_name(type)
        ->allow_extra_args(false)
        ->group(name_);
  }

  CLI::Option& Text(const std::string& option, const std::string& type, const std::string& help,
                    std::function<void(const std::string&)> set) {
    return *command_.add_option_function<std::string>(option, std::move(set), help)
                ->type_name(type)
                ->group(name_);
  }

 private:
  CLI::App& command_;
  const std::string name_;
};

const Choices<v1::Use>& Uses() {
  static const auto& uses = *new Choices<v1::Use>{
      {"never", v1::USE_NEVER}, {"auto", v1::USE_AUTO}, {"always", v1::USE_ALWAYS}};
  return uses;
}

void AddXattrOptions(Group& group, const std::shared_ptr<v1::Export>& resource) {
  group.Choice<bool>("--xattr", "Extended attributes (off)", {{"on", true}, {"off", false}},
                     [resource](bool on) { resource->mutable_semantics()->set_xattr(on); });
  group.Text("--xattrmap", "RULES",
             "How attributes' names change between guest and host, in virtiofsd's syntax: "
             ":map::user.virtiofs.:",
             [resource](const std::string& text) {
               XattrRules& rules = *resource->mutable_semantics()->mutable_xattr_rules();
               const std::string problem = ParseXattrMap(text, rules);
               if (!problem.empty()) throw CLI::ValidationError("--xattrmap", problem);
             });
  group.Choice<v1::Use>(
      "--posix-acl", "Access control lists (never)", Uses(),
      [resource](v1::Use use) { resource->mutable_semantics()->set_posix_acl(use); });
  group.Choice<v1::Use>(
      "--security-label", "New files' security labels (never)", Uses(),
      [resource](v1::Use use) { resource->mutable_semantics()->set_security_label(use); });
}

void AddLockOptions(Group& group, const std::shared_ptr<v1::Export>& resource) {
  group.Choice<v1::Semantics::Locks>(
      "--locks", "Locks hold within the guest only, or between the guests and the host too (none)",
      {{"none", v1::Semantics::NONE}, {"shared", v1::Semantics::SHARED}},
      [resource](v1::Semantics::Locks locks) { resource->mutable_semantics()->set_locks(locks); });
  group.Time("--lock-wait", "How long to wait for a shared lock, at most 1h (30s)",
             [resource](const Duration& wait) {
               *resource->mutable_semantics()->mutable_lock_wait() = wait;
             });
}

void AddLimitOptions(Group& group, const std::shared_ptr<v1::Export>& resource) {
  const auto limits = [resource]() -> v1::Limits& {
    return *resource->mutable_sandbox()->mutable_limits();
  };
  constexpr char kSizes[] = "65536, 512M or 2G";
  group.Amount("--memory-limit", "SIZE", "The worker's memory, at least 16M (no limit)", ParseBytes,
               kSizes, [limits](uint64_t bytes) { limits().set_memory_bytes(bytes); });
  group.Count<uint64_t>("--open-files-limit",
                        "Its file descriptors, at least 256 (as many as the server may have)",
                        [limits](uint64_t files) { limits().set_open_files(files); });
  group.Count<uint64_t>("--threads-limit", "Threads of its processes, at least 16 (no limit)",
                        [limits](uint64_t threads) { limits().set_threads(threads); });
  group.Amount("--cpu-limit", "PROCESSORS", "Processors' time, at least 0.001 (no limit)",
               ParseMillionths, "0.5 or 2",
               [limits](uint64_t cpu) { limits().set_cpu_microseconds_per_second(cpu); });
  group.Amount("--io-read-bps", "SIZE", "Bytes a second that it reads from the disk (no limit)",
               ParseBytes, kSizes,
               [limits](uint64_t bytes) { limits().set_io_read_bytes_per_second(bytes); });
  group.Amount("--io-write-bps", "SIZE", "Bytes a second that it writes to it (no limit)",
               ParseBytes, kSizes,
               [limits](uint64_t bytes) { limits().set_io_write_bytes_per_second(bytes); });
  group.Count<uint64_t>("--io-read-iops", "Reads a second from it (no limit)",
                        [limits](uint64_t n) { limits().set_io_read_operations_per_second(n); });
  group.Count<uint64_t>("--io-write-iops", "Writes a second to it (no limit)",
                        [limits](uint64_t n) { limits().set_io_write_operations_per_second(n); });
}

// Those of one rate; `name` is what their names begin with.
void AddRateOptions(Group& group, const std::string& name, const std::string& operations,
                    const std::string& bytes, const std::function<v1::Rate*()>& rate) {
  constexpr char kSizes[] = "10MiB, 512K or 2G";
  group.Count<uint64_t>("--" + name + "-iops", operations,
                        [rate](uint64_t n) { rate()->set_operations_per_second(n); });
  group.Count<uint64_t>("--" + name + "-iops-burst",
                        "How many may come at once after a pause (a second's worth)",
                        [rate](uint64_t n) { rate()->set_burst_operations(n); });
  group.Amount("--" + name + "-bandwidth", "SIZE", bytes + ", at least 4K (no limit)", ParseBytes,
               kSizes, [rate](uint64_t n) { rate()->set_bytes_per_second(n); });
  group.Amount("--" + name + "-bandwidth-burst", "SIZE",
               "How many may come at once after a pause (a second's worth)", ParseBytes, kSizes,
               [rate](uint64_t n) { rate()->set_burst_bytes(n); });
}

void AddCacheOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  Group group(command, "Caching");
  group.Choice<v1::Cache::Policy>(
      "--cache", "How long the guest may keep what it has read (auto)",
      {{"never", v1::Cache::NEVER},
       {"auto", v1::Cache::AUTO},
       {"metadata", v1::Cache::METADATA},
       {"always", v1::Cache::ALWAYS}},
      [resource](v1::Cache::Policy policy) { resource->mutable_cache()->set_policy(policy); });
  group.Time("--attr-timeout", "How long it may keep attributes (by the policy)",
             [resource](const Duration& timeout) {
               *resource->mutable_cache()->mutable_attr_timeout() = timeout;
             });
  group.Time("--entry-timeout", "How long it may keep names (by the policy)",
             [resource](const Duration& timeout) {
               *resource->mutable_cache()->mutable_entry_timeout() = timeout;
             });
  group.Time("--negative-timeout", "How long it may keep that a name does not exist (0s)",
             [resource](const Duration& timeout) {
               *resource->mutable_cache()->mutable_negative_timeout() = timeout;
             });
  group.Flag("--writeback", "It may collect writes and send them later",
             [resource] { resource->mutable_cache()->set_writeback(true); });
  group.Flag("--direct-io", "What it opens with O_DIRECT is opened so on the host",
             [resource] { resource->mutable_cache()->set_direct_io(true); });
  group.Flag("--mmap", "It may map files shared although it keeps no data (never, metadata)",
             [resource] { resource->mutable_cache()->set_mmap(true); });
  group.Choice<v1::Cache::ReadDirPlus>(
      "--readdirplus", "Attributes along with directories' entries (auto)",
      {{"never", v1::Cache::READDIRPLUS_NEVER},
       {"auto", v1::Cache::READDIRPLUS_AUTO},
       {"always", v1::Cache::READDIRPLUS_ALWAYS}},
      [resource](v1::Cache::ReadDirPlus use) { resource->mutable_cache()->set_readdirplus(use); });
  group.Flag("--cache-symlinks", "It may keep symbolic links' targets",
             [resource] { resource->mutable_cache()->set_symlinks(true); });
  group.Flag("--zero-message-open", "No requests for opening and closing; needs --cache always",
             [resource] { resource->mutable_cache()->set_zero_message_open(true); });
}

void AddSemanticsOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  Group group(command, "Semantics");
  AddXattrOptions(group, resource);
  group.Choice<v1::Use>(
      "--killpriv", "Writes clear set-user-id bits on the host (auto)", Uses(),
      [resource](v1::Use use) { resource->mutable_semantics()->set_killpriv(use); });
  group.Flag("--no-submounts", "Do not tell the guest of file systems mounted within the directory",
             [resource] { resource->mutable_semantics()->set_submounts(false); });
  AddLockOptions(group, resource);
  group.Flag("--preserve-noatime", "The guest's O_NOATIME is honoured",
             [resource] { resource->mutable_semantics()->set_preserve_noatime(true); });
}

void AddIdOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  Group group(command, "User and group ids");
  group.List<v1::IdTranslation>(
      "--translate-uid", "FORM", std::string("May be repeated: ") + kTranslationForms,
      ParseIdTranslation, kTranslationForms,
      [resource] { return resource->mutable_ids()->mutable_uid_translations(); });
  group.List<v1::IdTranslation>(
      "--translate-gid", "FORM", "The same for groups", ParseIdTranslation, kTranslationForms,
      [resource] { return resource->mutable_ids()->mutable_gid_translations(); });
  constexpr char kRange[] = "INSIDE:OUTSIDE:COUNT";
  group.List<v1::IdNamespaceRange>(
      "--uid-mount", kRange,
      "Translate by an idmapped mount: guest's first id, host's first id, number; may be repeated",
      ParseIdRange, kRange, [resource] { return resource->mutable_ids()->mutable_uid_mount(); });
  group.List<v1::IdNamespaceRange>(
      "--gid-mount", kRange, "The same for groups; both or neither", ParseIdRange, kRange,
      [resource] { return resource->mutable_ids()->mutable_gid_mount(); });
  group.List<v1::IdNamespaceRange>(
      "--uid-namespace", kRange,
      "The worker lives in a user namespace with this range (none); may be repeated", ParseIdRange,
      kRange, [resource] { return resource->mutable_ids()->mutable_uid_namespace(); });
  group.List<v1::IdNamespaceRange>(
      "--gid-namespace", kRange, "The same for groups; both or neither", ParseIdRange, kRange,
      [resource] { return resource->mutable_ids()->mutable_gid_namespace(); });
}

void AddInodeOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  Group group(command, "Inodes");
  group.Choice<v1::Inodes::HostHandles>(
      "--host-handles", "Keep files beyond --max-inode-fds without a descriptor (prefer)",
      {{"never", v1::Inodes::NEVER},
       {"prefer", v1::Inodes::PREFER},
       {"always", v1::Inodes::ALWAYS}},
      [resource](v1::Inodes::HostHandles use) {
        resource->mutable_inodes()->set_host_handles(use);
      });
  group.Count<uint64_t>(
      "--max-inode-fds", "File descriptors for files that the guest knows (by the worker's limit)",
      [resource](uint64_t fds) { resource->mutable_inodes()->set_max_file_descriptors(fds); });
}

void AddTransportOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  Group group(command, "Queues");
  group.Count<uint32_t>(
      "--request-queues", "Request queues, each with a thread of its own, at most 255 (1)",
      [resource](uint32_t queues) { resource->mutable_transport()->set_request_queues(queues); });
  group.Count<uint32_t>(
      "--poll-us",
      "Microseconds to look out for the next request before sleeping, at most 1000 (0)",
      [resource](uint32_t poll_us) { resource->mutable_transport()->set_poll_us(poll_us); });
}

void AddSandboxOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  Group group(command, "Sandbox");
  group.Choice<v1::Sandbox::Mode>(
      "--sandbox", "The worker's jail, as weak as the server allows (namespace)",
      {{"namespace", v1::Sandbox::NAMESPACE},
       {"chroot", v1::Sandbox::CHROOT},
       {"none", v1::Sandbox::NONE}},
      [resource](v1::Sandbox::Mode mode) { resource->mutable_sandbox()->set_mode(mode); });
  group.Choice<v1::Sandbox::Seccomp>(
      "--seccomp", "What becomes of a system call that the worker should not need (kill)",
      {{"kill", v1::Sandbox::KILL},
       {"errno", v1::Sandbox::ERRNO},
       {"log", v1::Sandbox::LOG},
       {"off", v1::Sandbox::OFF}},
      [resource](v1::Sandbox::Seccomp action) {
        resource->mutable_sandbox()->set_seccomp(action);
      });
  group.Words("--add-cap", "CAP_...",
              "A capability that the worker keeps beyond what the other options need (none); may "
              "be repeated",
              [resource](const std::string& name) {
                resource->mutable_sandbox()->add_add_capabilities(name);
              });
  group.Words("--drop-cap", "CAP_...",
              "A capability that it does without, though they need it (none); may be repeated",
              [resource](const std::string& name) {
                resource->mutable_sandbox()->add_drop_capabilities(name);
              });
  AddLimitOptions(group, resource);
}

void AddQosOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  Group group(command, "Limits on the guest's requests");
  AddRateOptions(group, "read", "READs a second (no limit)", "Bytes a second that they return",
                 [resource] { return resource->mutable_qos()->mutable_read(); });
  AddRateOptions(group, "write", "WRITEs and copies a second (no limit)",
                 "Bytes a second that they write",
                 [resource] { return resource->mutable_qos()->mutable_write(); });
  AddRateOptions(group, "total", "Requests of all kinds a second (no limit)",
                 "Bytes a second that are read and written",
                 [resource] { return resource->mutable_qos()->mutable_total(); });
}

}  // namespace

void AddDeviceOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  command.add_flag_callback(
      "--advertise-tag", [resource] { resource->set_advertise_tag(true); },
      "Tell the front-end the tag too (crosvm, User Mode Linux; not for QEMU)");
  command.add_flag_callback(
      "--read-only", [resource] { resource->set_read_only(true); }, "The guest can change nothing");
}

void AddBehaviorOptions(CLI::App& command, const std::shared_ptr<v1::Export>& resource) {
  AddCacheOptions(command, resource);
  AddSemanticsOptions(command, resource);
  AddIdOptions(command, resource);
  AddInodeOptions(command, resource);
  AddTransportOptions(command, resource);
  AddSandboxOptions(command, resource);
  AddQosOptions(command, resource);
}

}  // namespace fsd::cli
