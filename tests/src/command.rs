//! Short commands: run to their end, with an error that shows the command line when they fail.

use crate::error::LabError;
use crate::tools;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What a command that succeeded printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A command by the program's name, found also outside `PATH`.
pub(crate) fn program(name: &str) -> Command {
    Command::new(path_of(name))
}

pub(crate) fn path_of(program: &str) -> OsString {
    tools::find(program).map_or_else(|| program.into(), PathBuf::into_os_string)
}

/// The command line as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    if !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_./:=,@%+[]".contains(c))
    {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs to the end; a failure carries command line, status and standard error.
pub(crate) fn run(command: &mut Command) -> Result<Output, LabError> {
    let line = line(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::io(format!("run `{line}`")))?;
    checked(line, &output)
}

/// As [`run`], with text on standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Result<Output, LabError> {
    let line = format!("{} <<'{}'", line(command), input.trim_end());
    let what = format!("run `{line}`");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(LabError::io(&what))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading says why on its standard error.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(LabError::io(what))?;
    checked(line, &output)
}

fn checked(line: String, output: &std::process::Output) -> Result<Output, LabError> {
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(Output { stdout, stderr });
    }
    let said = if stderr.trim().is_empty() {
        stdout
    } else {
        stderr
    };
    Err(LabError::Command {
        line,
        status: output.status,
        stderr: said.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_line_status_and_stderr() {
        let error = run(Command::new("sh").args(["-c", "echo oh dear >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            "`sh -c 'echo oh dear >&2; exit 3'` ended with exit status: 3: oh dear"
        );
    }

    #[test]
    fn input_reaches_the_program() {
        let output = run_with_input(&mut Command::new("cat"), "two\nlines\n").unwrap();
        assert_eq!(output.stdout, "two\nlines\n");
    }
}
