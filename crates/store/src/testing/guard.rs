//! Who cleans up after a server: a shell that waits for this process's end, whichever way it comes. Statics are not dropped, and
//! a killed process drops nothing; but the end of a pipe it always closes.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A line says that the owner is done. The pipe's end without one says that the owner is gone, perhaps in the middle of making
/// the server, and what it had begun goes on for a while: a server that is not there yet is waited for, since without its
/// pid file `pg_ctl` cannot stop it any more; and what is made anew after the removal is removed again.
const SCRIPT: &str = r#"
stop() { "$1/pg_ctl" stop -w -m immediate -D "$2/data"; }
if read line; then stop "$@"; rm -rf "$2"; exit; fi
for try in 1 2 3 4 5; do stop "$@" && rm -rf "$2" && exit; sleep 0.2; done
for try in 1 2 3 4 5 6; do rm -rf "$2"; sleep 0.3; stop "$@"; done
rm -rf "$2"
"#;

/// The shell, and the pipe that it reads.
#[derive(Debug)]
pub(super) struct Guard(Child);

impl Guard {
    /// Watches over the server whose data are in `directory`.
    pub(super) fn over(bin: &Path, directory: &Path, user: Option<(u32, u32)>) -> std::io::Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(SCRIPT).arg("guard").arg(bin).arg(directory);
        // A group of its own: what interrupts the tests must not end who cleans up after them.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.current_dir("/");
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        Ok(Self(command.spawn()?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(mut pipe) = self.0.stdin.take() {
            let _ = pipe.write_all(b"\n");
        }
        let _ = self.0.wait();
    }
}
