//! A command on a terminal, as a person sees it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::wait;
use crate::wire::PATIENCE;

/// A command whose input and output are a terminal of 120 columns.
pub struct Terminal {
    pub child: Child,
    keys: File,
    screen: Receiver<String>,
    seen: String,
}

impl Terminal {
    pub fn run(mut command: Command) -> Terminal {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        tcsetwinsize(&ours, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap();
        let theirs = OpenOptions::new().read(true).write(true).custom_flags(flags).open(name).unwrap();
        let end = || Stdio::from(theirs.try_clone().unwrap());
        let child = command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keys = File::from(ours);
        let screen = read(keys.try_clone().unwrap());
        Terminal { child, keys, screen, seen: String::new() }
    }

    /// Waits until this has been on the screen.
    pub fn shows(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(more) => self.seen.push_str(&more),
                Err(_) => panic!("{text:?} is not shown: {:?}", self.seen),
            }
        }
    }

    pub fn types(&mut self, text: &str) {
        self.keys.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for its end; gives the exit status and all that was shown.
    pub fn end(mut self) -> (i32, String) {
        let code = wait(&mut self.child);
        drop(self.keys);
        // What was written last may still be on its way.
        while let Ok(more) = self.screen.recv_timeout(PATIENCE) {
            self.seen.push_str(&more);
        }
        (code, self.seen)
    }
}

fn read(mut from: File) -> Receiver<String> {
    let (send, screen) = channel();
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        // A terminal that nobody holds any more is an error to read.
        while let Ok(count @ 1..) = from.read(&mut piece) {
            let _ = send.send(String::from_utf8_lossy(&piece[..count]).into_owned());
        }
    });
    screen
}
