//! Runs other programs: without standard input, and without the settings of a Hongyan of one's own.
//! Used by every task.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

/// Prepares a program that works in `folder`.
pub(crate) fn program(name: impl Into<OsString>, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(name.into());
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    // HONGYAN_DATABASE_URL and the like, set for daily work, would change what tests find.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("HONGYAN_") && !text.starts_with("HONGYAN_TEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Prepares the cargo that started us.
pub(crate) fn cargo(folder: &Path, arguments: &[&str]) -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), folder, arguments)
}

/// Runs a program to its end; says whether it exited with 0.
pub(crate) fn succeeds(command: &mut Command) -> Result<bool> {
    Ok(command.status().with_context(|| cannot_start(command))?.success())
}

/// Gives what a program printed to standard output, if it could be started and exited with 0.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program and hands over each line of its standard output, line end included, as it comes.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&[u8])) -> Result<ExitStatus> {
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| cannot_start(command))?;
    let mut reader = BufReader::new(child.stdout.take().context("no output to read")?);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        each(&line);
        line.clear();
    }
    Ok(child.wait()?)
}

/// Runs a program; says how it exited, or ends it when the time is over.
pub(crate) fn run_within(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| cannot_start(command))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() > limit {
            stop(&mut child)?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn stop(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn cannot_start(command: &Command) -> String {
    format!("{} cannot be started", command.get_program().to_string_lossy())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_and_with_the_exit_status() {
        let mut seen = Vec::new();
        let script = ["-c", "printf 'one\\ntwo'; exit 3"];
        let status =
            lines(&mut program("sh", Path::new("/"), &script), |line| seen.push(line.to_vec())).unwrap();
        assert_eq!(seen, [b"one\n".to_vec(), b"two".to_vec()]);
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let mut endless = program("sleep", Path::new("/"), &["600"]);
        assert_eq!(run_within(&mut endless, Duration::ZERO).unwrap(), None);
        let mut short = program("true", Path::new("/"), &[]);
        assert!(run_within(&mut short, Duration::from_secs(60)).unwrap().unwrap().success());
    }

    #[test]
    fn what_is_not_there_is_named() {
        let error = succeeds(&mut program("no-such-program", Path::new("/"), &[])).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
