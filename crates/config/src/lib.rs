//! The pipeline file: YAML text → definitions.
