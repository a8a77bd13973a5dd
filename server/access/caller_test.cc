#include "server/access/caller.h"

#include <map>

#include "gmock/gmock.h"
#include "grpc/grpc_security_constants.h"

namespace fsd::access {
namespace {

using supervisor::CertificateRole;
using supervisor::Role;

// What TLS has found out about a client.
class FakeAuthContext final : public grpc::AuthContext {
 public:
  FakeAuthContext(std::initializer_list<std::pair<const std::string, std::string>> properties)
      : properties_(properties) {}

  bool IsPeerAuthenticated() const override { return true; }
  std::vector<grpc::string_ref> GetPeerIdentity() const override { return {}; }
  std::string GetPeerIdentityPropertyName() const override { return ""; }
  std::vector<grpc::string_ref> FindPropertyValues(const std::string& name) const override {
    std::vector<grpc::string_ref> values;
    const auto [begin, end] = properties_.equal_range(name);
    for (auto it = begin; it != end; ++it) values.emplace_back(it->second);
    return values;
  }
  grpc::AuthPropertyIterator begin() const override { return Iterator(); }
  grpc::AuthPropertyIterator end() const override { return Iterator(); }
  void AddProperty(const std::string&, const grpc::string_ref&) override {}
  bool SetPeerIdentityPropertyName(const std::string&) override { return false; }

 private:
  struct Iterator : grpc::AuthPropertyIterator {};

  const std::multimap<std::string, std::string> properties_;
};

const FakeAuthContext kMonitor{{GRPC_X509_PEM_CERT_PROPERTY_NAME, "pem"},
                               {GRPC_X509_CN_PROPERTY_NAME, "monitor"},
                               {GRPC_X509_SAN_PROPERTY_NAME, "a.example.org"},
                               {GRPC_X509_SAN_PROPERTY_NAME, "b.example.org"}};

TEST(Caller, OnAUnixSocketHasTheSocketsRole) {
  const Caller caller = UnixCaller({.pid = 17, .uid = 1, .gid = 2}, Role::kReader);

  EXPECT_EQ(caller.name, "uid=1 gid=2 pid=17");
  EXPECT_TRUE(caller.is_known);
  EXPECT_EQ(caller.role, Role::kReader);
}

TEST(Caller, WithACertificateHasTheRoleOfItsCommonName) {
  const Caller caller = CertificateCaller(kMonitor, "ipv4:192.0.2.7:1",
                                          {{.role = Role::kReader, .common_name = "monitor"}});

  EXPECT_EQ(caller.name,
            "cn=\"monitor\" san=\"a.example.org\" san=\"b.example.org\" peer=ipv4:192.0.2.7:1");
  EXPECT_TRUE(caller.is_known);
  EXPECT_EQ(caller.role, Role::kReader);
}

TEST(Caller, WithACertificateHasTheRoleOfAnyAlternativeName) {
  EXPECT_EQ(CertificateCaller(kMonitor, "",
                              {{.role = Role::kAdministrator, .alternative_name = "b.example.org"}})
                .role,
            Role::kAdministrator);
}

TEST(Caller, HasTheHighestOfItsRolesInAnyOrder) {
  const CertificateRole reader{.role = Role::kReader, .common_name = "monitor"};
  const CertificateRole administrator{.role = Role::kAdministrator,
                                      .alternative_name = "a.example.org"};

  EXPECT_EQ(CertificateCaller(kMonitor, "", {reader, administrator}).role, Role::kAdministrator);
  EXPECT_EQ(CertificateCaller(kMonitor, "", {administrator, reader}).role, Role::kAdministrator);
}

TEST(Caller, NamesAreWholeAndOfTheirKind) {
  const Caller caller =
      CertificateCaller(kMonitor, "",
                        {{.role = Role::kAdministrator, .common_name = "moni"},
                         {.role = Role::kAdministrator, .common_name = "a.example.org"},
                         {.role = Role::kAdministrator, .alternative_name = "monitor"},
                         {.role = Role::kAdministrator, .alternative_name = "example.org"}});

  EXPECT_TRUE(caller.is_known);
  EXPECT_FALSE(caller.role.has_value());
}

TEST(Caller, WithoutACertificateIsNotKnown) {
  const FakeAuthContext nobody{{GRPC_X509_CN_PROPERTY_NAME, "vmm"}};

  const Caller caller = CertificateCaller(nobody, "ipv4:192.0.2.7:1",
                                          {{.role = Role::kAdministrator, .common_name = "vmm"}});

  EXPECT_FALSE(caller.is_known);
  EXPECT_FALSE(caller.role.has_value());
}

TEST(Caller, ANameCannotForgeALine) {
  const FakeAuthContext forger{{GRPC_X509_PEM_CERT_PROPERTY_NAME, "pem"},
                               {GRPC_X509_CN_PROPERTY_NAME, "x\" role=admin\n"}};

  EXPECT_EQ(CertificateCaller(forger, "p", {}).name, "cn=\"x\\\" role=admin\\n\" peer=p");
}

}  // namespace
}  // namespace fsd::access
