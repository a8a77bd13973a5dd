"""The version that fsd and fsctl report."""

FSD_VERSION = "0.1.0"
