//! Whose a failure is: redb panics over a file that others changed, and so may a mistake in the code around it. The first
//! says that the file is spoiled; the second says nothing of the file, and nobody must put one away for it.
//!
//! A panic does not carry where it began to whoever catches it, so that the hook of all panics notes it.

use std::{
    any::Any,
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

/// Why something with redb was not done.
#[derive(Debug)]
pub(super) enum Failure {
    /// redb's word, also where it panicked.
    Redb(redb::Error),
    /// A panic in the code of this program, in words.
    Ours(String),
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        Self::Redb(error)
    }
}

/// The end of this file's name, as the compiler has it; what stands before it leads to all files of this program.
const THIS_FILE: &str = "store/fault.rs";

thread_local! {
    /// Where the last panic of this thread began.
    static BEGAN: RefCell<Option<Began>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Began {
    /// File, line and column.
    at: String,
    /// Whether that is in the code of this program.
    is_ours: bool,
}

/// Does something with redb.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, Failure> {
    note_where_panics_begin();
    BEGAN.set(None);
    // What is left behind is put aside with the database.
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => Ok(done?),
        Err(panic) => Err(judge(&*panic, BEGAN.take())),
    }
}

fn judge(panic: &(dyn Any + Send), began: Option<Began>) -> Failure {
    let told = panic.downcast_ref::<String>().map(String::as_str);
    let told = told.or_else(|| panic.downcast_ref::<&str>().copied());
    match began {
        Some(Began { at, is_ours: true }) => {
            Failure::Ours(format!("{} ({at})", told.unwrap_or("it panicked")))
        }
        // The standard library's panics too: over a spoiled file redb asks it for what cannot be.
        _ => Failure::Redb(redb::Error::Corrupted(told.unwrap_or("redb panicked").to_owned())),
    }
}

/// Notes where panics begin, beside what is done about them anyway.
fn note_where_panics_begin() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let began = info.location().map(|at| Began {
                at: at.to_string(),
                is_ours: is_ours(at.file()),
            });
            // A thread that ends has no place for it any more.
            let _ = BEGAN.try_with(|place| place.replace(began));
            before(info);
        }));
    });
}

fn is_ours(file: &str) -> bool {
    file!()
        .strip_suffix(THIS_FILE)
        .is_some_and(|root| file.starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_this_program_is_told_from_that_of_others() {
        assert!(is_ours(file!()));
        assert!(is_ours(std::panic::Location::caller().file()));
        assert!(!is_ours("/registry/src/redb-4.0.0/src/tree_store/page.rs"));
        assert!(!is_ours("/rustc/0123/library/alloc/src/raw_vec/mod.rs"));
    }

    #[test]
    fn only_what_began_in_this_program_is_its_fault() {
        let began = |is_ours| Began {
            at: "src/x.rs:1:2".to_owned(),
            is_ours,
        };
        let ours = judge(&"odd", Some(began(true)));
        assert!(
            matches!(&ours, Failure::Ours(why) if why == "odd (src/x.rs:1:2)"),
            "{ours:?}"
        );
        for began in [Some(began(false)), None] {
            let failure = judge(&"odd", began);
            assert!(
                matches!(&failure, Failure::Redb(redb::Error::Corrupted(why)) if why == "odd"),
                "{failure:?}"
            );
        }
    }
}
