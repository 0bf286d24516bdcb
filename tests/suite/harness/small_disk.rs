//! A file system of its own, in memory and small, that can be full.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::process::output;

/// It is unmounted when it goes.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, and a word about it, for who may not mount one.
    pub fn mount(at: &Path) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let mounted = output(
            Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
                .arg(at),
        );
        if !mounted.status.success() {
            eprintln!("not tried: it takes the right to mount");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    pub fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
