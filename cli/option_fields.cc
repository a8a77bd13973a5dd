#include "cli/option_fields.h"

#include "cli/duration_syntax.h"
#include "cli/id_mapping_syntax.h"
#include "cli/printable.h"
#include "cli/xattr_map_syntax.h"

namespace fsd::cli {
namespace {

class Fields {
 public:
  void Add(const char* name, std::string value) { fields_.emplace_back(name, std::move(value)); }
  void AddIfOn(const char* name, bool is_on) {
    if (is_on) Add(name, "yes");
  }
  void AddUse(const char* name, v1::Use use) {
    if (use != v1::USE_UNSPECIFIED) Add(name, ChoiceName(v1::Use_Name(use), "USE_"));
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

}  // namespace

std::vector<std::pair<std::string, std::string>> OptionFields(const v1::Export& resource) {
  Fields fields;
  AddCache(resource.cache(), fields);
  AddSemantics(resource.semantics(), fields);
  fields.AddList("Translate uid", resource.ids().uid_translations(), IdTranslationText);
  fields.AddList("Translate gid", resource.ids().gid_translations(), IdTranslationText);
  fields.AddList("Uid mount", resource.ids().uid_mount(), IdRangeText);
  fields.AddList("Gid mount", resource.ids().gid_mount(), IdRangeText);
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
  return fields.Take();
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
