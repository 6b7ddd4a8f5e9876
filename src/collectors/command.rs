//! `command`: the output of a program that only reads. That it only reads is the boundary's business.

use std::path::Path;

use super::source::{Env, Program, Source};

pub(super) fn items(argv: &[String], cwd: Option<&Path>) -> Vec<Source> {
    vec![Source::Program(Program {
        name: "stdout".to_owned(),
        argv: argv.to_vec(),
        cwd: cwd.map(Path::to_owned),
        env: Env::Given,
        optional: false,
        more: None,
        silent: false,
    })]
}
