#include "cli/option_fields.h"

#include <cstdint>

#include "cli/duration_syntax.h"
#include "cli/id_mapping_syntax.h"
#include "cli/printable.h"
#include "cli/quantity_syntax.h"
#include "cli/xattr_map_syntax.h"

namespace fsd::cli {
namespace {

class Fields {
 public:
  void Add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
  }
  void AddIfOn(const char* name, bool is_on) {
    if (is_on) Add(name, "yes");
  }
  void AddUse(const char* name, v1::Use use) {
    if (use != v1::USE_UNSPECIFIED) Add(name, ChoiceName(v1::Use_Name(use), "USE_"));
  }
  void AddLimit(std::string name, uint64_t limit, std::string (*to_text)(uint64_t)) {
    if (limit != 0) Add(std::move(name), to_text(limit));
  }
  void AddDuration(const char* name, bool is_set, const google::protobuf::Duration& duration) {
    if (is_set) Add(name, DurationText(duration));
  }
  template <typename Element>
  void AddList(const char* name, const google::protobuf::RepeatedPtrField<Element>& elements,
               std::string (*to_text)(const Element&)) {
    std::string text;
    for (const Element& element : elements) {
      if (!text.empty()) text += ", ";
      text += to_text(element);
    }
    if (!text.empty()) Add(name, std::move(text));
  }

  std::vector<std::pair<std::string, std::string>> Take() { return std::move(fields_); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

std::string PrintableText(const std::string& text) { return Printable(text); }

void AddCache(const v1::Cache& cache, Fields& fields) {
  fields.AddDuration("Attr timeout", cache.has_attr_timeout(), cache.attr_timeout());
  fields.AddDuration("Entry timeout", cache.has_entry_timeout(), cache.entry_timeout());
  fields.AddDuration("Negative timeout", cache.has_negative_timeout(), cache.negative_timeout());
  fields.AddIfOn("Writeback", cache.writeback());
  fields.AddIfOn("Direct io", cache.direct_io());
  fields.AddIfOn("Mmap", cache.mmap());
  if (cache.readdirplus() != v1::Cache::READDIRPLUS_UNSPECIFIED) {
    fields.Add("Readdirplus",
               ChoiceName(v1::Cache::ReadDirPlus_Name(cache.readdirplus()), "READDIRPLUS_"));
  }
  fields.AddIfOn("Cache symlinks", cache.symlinks());
  fields.AddIfOn("Zero-message open", cache.zero_message_open());
}

void AddSemantics(const v1::Semantics& semantics, Fields& fields) {
  if (semantics.xattr()) fields.Add("Xattr", "on");
  if (!semantics.xattr_rules().empty()) {
    fields.Add("Xattr map", Printable(XattrMapText(semantics.xattr_rules())));
  }
  fields.AddUse("Posix acl", semantics.posix_acl());
  fields.AddUse("Security label", semantics.security_label());
  fields.AddUse("Killpriv", semantics.killpriv());
  if (semantics.has_submounts()) fields.Add("Submounts", semantics.submounts() ? "yes" : "no");
  if (semantics.locks() != v1::Semantics::LOCKS_UNSPECIFIED) {
    fields.Add("Locks", ChoiceName(v1::Semantics::Locks_Name(semantics.locks())));
  }
  fields.AddDuration("Lock wait", semantics.has_lock_wait(), semantics.lock_wait());
  fields.AddIfOn("Preserve noatime", semantics.preserve_noatime());
}

void AddIds(const v1::IdMapping& ids, Fields& fields) {
  fields.AddList("Translate uid", ids.uid_translations(), IdTranslationText);
  fields.AddList("Translate gid", ids.gid_translations(), IdTranslationText);
  fields.AddList("Uid mount", ids.uid_mount(), IdRangeText);
  fields.AddList("Gid mount", ids.gid_mount(), IdRangeText);
  fields.AddList("Uid namespace", ids.uid_namespace(), IdRangeText);
  fields.AddList("Gid namespace", ids.gid_namespace(), IdRangeText);
}

std::string Decimal(uint64_t number) { return std::to_string(number); }

void AddSandbox(const v1::Sandbox& sandbox, Fields& fields) {
  if (sandbox.mode() != v1::Sandbox::MODE_UNSPECIFIED) {
    fields.Add("Sandbox", ChoiceName(v1::Sandbox::Mode_Name(sandbox.mode())));
  }
  if (sandbox.seccomp() != v1::Sandbox::SECCOMP_UNSPECIFIED) {
    fields.Add("Seccomp", ChoiceName(v1::Sandbox::Seccomp_Name(sandbox.seccomp())));
  }
  fields.AddList("Add cap", sandbox.add_capabilities(), PrintableText);
  fields.AddList("Drop cap", sandbox.drop_capabilities(), PrintableText);
  const v1::Limits& limits = sandbox.limits();
  fields.AddLimit("Memory limit", limits.memory_bytes(), BytesText);
  fields.AddLimit("Open files limit", limits.open_files(), Decimal);
  fields.AddLimit("Threads limit", limits.threads(), Decimal);
  fields.AddLimit("Cpu limit", limits.cpu_microseconds_per_second(), MillionthsText);
  fields.AddLimit("Io read bps", limits.io_read_bytes_per_second(), BytesText);
  fields.AddLimit("Io write bps", limits.io_write_bytes_per_second(), BytesText);
  fields.AddLimit("Io read iops", limits.io_read_operations_per_second(), Decimal);
  fields.AddLimit("Io write iops", limits.io_write_operations_per_second(), Decimal);
}

void AddRate(const std::string& name, const v1::Rate& rate, Fields& fields) {
  fields.AddLimit(name + " iops", rate.operations_per_second(), Decimal);
  fields.AddLimit(name + " iops burst", rate.burst_operations(), Decimal);
  fields.AddLimit(name + " bandwidth", rate.bytes_per_second(), BytesText);
  fields.AddLimit(name + " bandwidth burst", rate.burst_bytes(), BytesText);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> OptionFields(const v1::Export& resource) {
  Fields fields;
  AddCache(resource.cache(), fields);
  AddSemantics(resource.semantics(), fields);
  AddIds(resource.ids(), fields);
  const v1::Inodes& inodes = resource.inodes();
  if (inodes.host_handles() != v1::Inodes::HOST_HANDLES_UNSPECIFIED) {
    fields.Add("Host handles", ChoiceName(v1::Inodes::HostHandles_Name(inodes.host_handles())));
  }
  if (inodes.max_file_descriptors() != 0) {
    fields.Add("Max inode fds", std::to_string(inodes.max_file_descriptors()));
  }
  const v1::Transport& transport = resource.transport();
  if (transport.request_queues() != 0) {
    fields.Add("Request queues", std::to_string(transport.request_queues()));
  }
  if (transport.poll_us() != 0) fields.Add("Poll us", std::to_string(transport.poll_us()));
  AddSandbox(resource.sandbox(), fields);
  AddRate("Read", resource.qos().read(), fields);
  AddRate("Write", resource.qos().write(), fields);
  AddRate("Total", resource.qos().total(), fields);
  return fields.Take();
}

std::string LimitsText(const v1::Qos& qos) {
  std::string text;
  const auto add = [&text](const char* name, const v1::Rate& rate) {
    const uint64_t operations = rate.operations_per_second();
    const uint64_t bytes = rate.bytes_per_second();
    if (operations == 0 && bytes == 0) return;
    text += (text.empty() ? "" : ", ") + std::string(name);
    if (operations != 0) text += " " + Decimal(operations) + " iops";
    if (bytes != 0) text += " " + BytesText(bytes) + "/s";
  };
  add("read", qos.read());
  add("write", qos.write());
  add("total", qos.total());
  return text;
}

std::string ChoiceName(const std::string& name, const std::string& prefix) {
  if (name.empty()) return "unknown";
  std::string choice = name.starts_with(prefix) ? name.substr(prefix.size()) : name;
  for (char& c : choice) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return choice;
}

}  // namespace fsd::cli
