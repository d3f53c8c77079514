//! The command line: everything is in the library, so that tests reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    frontdesk::cli::run()
}
