"""cc_lite_proto_library: C++ message classes that name no protobuf runtime to link."""

def _codegen_impl(ctx):
    info = ctx.attr.proto[ProtoInfo]
    srcs, hdrs, names = [], [], []
    prefix = ctx.label.package + "/"
    for proto in info.direct_sources:
        if not proto.path.startswith(prefix):
            fail("%s must be declared in the package of its .proto file" % ctx.label)
        stem = proto.path[len(prefix):-len(".proto")]
        names.append(proto.path)
        srcs.append(ctx.actions.declare_file(stem + ".pb.cc"))
        hdrs.append(ctx.actions.declare_file(stem + ".pb.h"))
    sets = info.transitive_descriptor_sets
    args = ctx.actions.args()
    args.add_joined("--descriptor_set_in", sets, join_with = ":", format_joined = "%s")
    args.add("--cpp_out=" + ctx.bin_dir.path)
    args.add_all(names)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [args],
        inputs = sets,
        outputs = srcs + hdrs,
        mnemonic = "GenProtoLite",
        progress_message = "Generating C++ messages for %s" % ctx.label,
    )
    return [
        DefaultInfo(files = depset(srcs + hdrs)),
        OutputGroupInfo(srcs = depset(srcs), hdrs = depset(hdrs)),
    ]

_codegen = rule(
    implementation = _codegen_impl,
    attrs = {
        "proto": attr.label(mandatory = True, providers = [ProtoInfo]),
        "_protoc": attr.label(
            default = "@com_google_protobuf//:protoc",
            allow_single_file = True,
            executable = True,
            cfg = "host",
        ),
    },
)

def cc_lite_proto_library(name, proto, **kwargs):
    """C++ classes of a proto_library whose files say optimize_for = LITE_RUNTIME.

    Args:
      name: the cc_library's name.
      proto: the proto_library.
      **kwargs: passed on to cc_library.
    """
    codegen = "_" + name + "_codegen"
    _codegen(name = codegen, proto = proto, visibility = ["//visibility:private"])
    native.filegroup(name = codegen + "_srcs", srcs = [":" + codegen], output_group = "srcs")
    native.filegroup(name = codegen + "_hdrs", srcs = [":" + codegen], output_group = "hdrs")
    native.cc_library(
        name = name,
        srcs = [":" + codegen + "_srcs"],
        hdrs = [":" + codegen + "_hdrs"],
        **kwargs
    )
