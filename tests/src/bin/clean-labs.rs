//! Removes the labs that were left running on purpose, and what dead labs left.

use std::process::ExitCode;

fn main() -> ExitCode {
    match sextant_lab::remove_kept() {
        Ok(labs) if labs.is_empty() => {
            eprintln!("no lab was left running");
            ExitCode::SUCCESS
        }
        Ok(labs) => {
            eprintln!("removed {}", labs.join(", "));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
