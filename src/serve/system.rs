//! What is asked of the operating system for the whole process: descriptors, core dumps, another user.

#![allow(
    unsafe_code,
    reason = "calls that have no safe wrapper; each use is argued where it stands"
)]

use std::{ffi::CString, io, mem, ptr};

fn limit(resource: libc::__rlimit_resource_t) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer.
    if unsafe { libc::getrlimit(resource, &mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit)
}

fn set_limit(resource: libc::__rlimit_resource_t, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` is read only; the kernel judges its values.
    if unsafe { libc::setrlimit(resource, &limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The limit of open descriptors in force.
///
/// # Errors
/// When the kernel does not tell.
pub fn descriptor_limit() -> io::Result<u64> {
    limit(libc::RLIMIT_NOFILE).map(|limit| limit.rlim_cur)
}

/// Raises the limit of open descriptors to `wanted`, or as far as it may go. Gives the limit in force; it never
/// falls. Call before giving up root, who may go past the hard limit.
///
/// # Errors
/// When the limit cannot even be read.
pub fn raise_descriptor_limit(wanted: u64) -> io::Result<u64> {
    let had = limit(libc::RLIMIT_NOFILE)?;
    if had.rlim_cur < wanted {
        let past = set_limit(libc::RLIMIT_NOFILE, wanted, had.rlim_max.max(wanted));
        if past.is_err() {
            // Not allowed: up to the hard limit, which always is.
            let _ = set_limit(libc::RLIMIT_NOFILE, wanted.min(had.rlim_max), had.rlim_max);
        }
    }
    descriptor_limit()
}

/// Turns core dumps off, and keeps other processes of the user from reading this one's memory: it holds private
/// keys, and ring does not wipe its own copies. A change of user sets this back, so it is called after that too.
///
/// # Errors
/// When the kernel refuses.
pub fn forbid_core_dumps() -> io::Result<()> {
    set_limit(libc::RLIMIT_CORE, 0, 0)?;
    // SAFETY: PR_SET_DUMPABLE takes one number, and touches no memory.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// CLOCK_MONOTONIC in microseconds, the same for all processes of this machine: for other programs to compare, not
/// to tell the time by (that is [`crate::clock::Clock`]'s).
pub fn monotonic_usec() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid place for the answer. The call fails for unknown clocks only.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

/// Makes the calling thread yield to every thread that wants to run: it gets what they leave, and hardly more than
/// nothing while they leave nothing (SCHED_IDLE). For good; no right is needed to ask for less.
///
/// # Errors
/// When the kernel refuses.
pub fn yield_to_all_others() -> io::Result<()> {
    let no_priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is this thread; `no_priority` is read only.
    if unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &no_priority) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Gives back to the system what the allocator holds without need: after a large zone was freed, page by page, that is
/// most of what it took. Takes a while then, and is for no thread that answers.
pub fn give_memory_back() {
    // SAFETY: it moves nothing that is allocated, and may be called at any time from any thread.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    // SAFETY: always succeeds, touches no memory.
    unsafe { libc::geteuid() == 0 }
}

/// A user of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    name: CString,
    uid: libc::uid_t,
    gid: libc::gid_t,
}

impl User {
    /// The user's number and group, for giving folders to.
    pub fn ids(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    /// Looks a user up.
    ///
    /// # Errors
    /// `NotFound` when there is none of that name.
    pub fn named(name: &str) -> io::Result<Self> {
        let name = CString::new(name).map_err(|_| io::ErrorKind::NotFound)?;
        let mut buffer = vec![0; 16 << 10];
        // SAFETY: passwd is a plain C structure, for which all zero octets are a value.
        let mut entry: libc::passwd = unsafe { mem::zeroed() };
        let mut found = ptr::null_mut();
        // SAFETY: all pointers are to live memory of the lengths given; the name ends in a zero octet.
        let error = unsafe {
            libc::getpwnam_r(
                name.as_ptr(),
                &mut entry,
                buffer.as_mut_ptr(),
                buffer.len(),
                &mut found,
            )
        };
        match (error, found.is_null()) {
            (0, false) => Ok(Self {
                name,
                uid: entry.pw_uid,
                gid: entry.pw_gid,
            }),
            (0, true) => Err(io::ErrorKind::NotFound.into()),
            (error, _) => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// Becomes this user, for good: groups first, then the group, then the user, and a look that there is no way
    /// back. Call while the process has one thread only, and before keys are read.
    ///
    /// # Errors
    /// When the kernel refuses, as it does for anyone but root.
    pub fn assume(&self) -> io::Result<()> {
        // SAFETY: the name ends in a zero octet; the others take numbers only.
        unsafe {
            if libc::initgroups(self.name.as_ptr(), self.gid as _) != 0
                || libc::setgid(self.gid) != 0
                || libc::setuid(self.uid) != 0
            {
                return Err(io::Error::last_os_error());
            }
            if self.uid != 0 && libc::setuid(0) == 0 {
                return Err(io::Error::other("root could be taken back after it was given up"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        assert_eq!(User::named("root").unwrap().ids(), (0, 0));
        assert_eq!(
            User::named("no-such-user-here").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert_eq!(User::named("a\0b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_descriptor_limit_never_falls() {
        let before = raise_descriptor_limit(0).unwrap();
        assert!(raise_descriptor_limit(before + 1).unwrap() >= before);
    }
}
