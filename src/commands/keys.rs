//! `countersign keys …`. Where a server runs on the state folder it does the work, and serves the result at
//! once; where none does, the work is done here; and where there is no state, the key files alone are written.

use std::path::{Path, PathBuf};

use super::{
    access::{Access, open},
    arguments::{
        GenerateArguments, ImportArguments, KeysCommand, KeysDsArguments, ListArguments, ReadmitArguments,
        RoleArgument, WithdrawArguments, ZoneKeys,
    },
    client::{keys_table, print_ds},
    outcome::{Failure, Report},
    table::Table,
};
use crate::{
    clock::{Clock, SystemClock},
    control::{
        keys,
        protocol::{Generate, Import, KeysChanged, Readmit, Refusal, Withdraw},
    },
    dnssec::{custody::Place, register::Journal},
    wire::Name,
};

pub(super) fn run(command: &KeysCommand) -> Result<Report, Failure> {
    match command {
        KeysCommand::Generate(arguments) => generate(arguments),
        KeysCommand::List(arguments) => list(arguments),
        KeysCommand::Ds(arguments) => ds(arguments),
        KeysCommand::Import(arguments) => import(arguments),
        KeysCommand::Withdraw(arguments) => withdraw(arguments),
        KeysCommand::Readmit(arguments) => readmit(arguments),
    }
}

/// Where a command finds what it needs when it works by itself.
struct Alone {
    store: Option<crate::store::Store>,
    now: crate::clock::UnixTime,
}

impl Alone {
    fn of(access: Access) -> Result<Self, crate::control::Client> {
        match access {
            Access::Server(client) => Err(client),
            Access::Store(store, clock) => Ok(Self {
                now: clock.now(),
                store: Some(store),
            }),
            Access::Nothing(_) => Ok(Self {
                now: SystemClock::default().now(),
                store: None,
            }),
        }
    }

    /// Says when there was no register to write to: the files then speak for themselves.
    fn remark(&self, mut changed: KeysChanged, state: &Path) -> KeysChanged {
        if self.store.is_none() {
            changed.remarks.push(format!(
                "there is no state in {} yet, so the key files alone were written; the server takes them when it \
                 starts or reloads",
                state.display()
            ));
        }
        changed
    }

    fn place<'a>(&'a self, apex: &'a Name, folder: &'a Path) -> Place<'a> {
        let journal = self.store.as_ref().map(|store| store as &dyn Journal);
        Place {
            apex,
            folder,
            journal,
        }
    }
}

fn generate(arguments: &GenerateArguments) -> Result<Report, Failure> {
    let ZoneKeys { origin, keys, state } = &arguments.zone;
    let folder = &state.keys(keys.as_deref())?;
    let role = arguments.role.map(|role| match role {
        RoleArgument::Ksk => "ksk",
        RoleArgument::Zsk => "zsk",
        RoleArgument::Csk => "csk",
    });
    let request = Generate {
        folder: absolute(folder)?,
        algorithm: arguments.algorithm.clone(),
        role: role.map(str::to_owned),
    };
    let changed = match Alone::of(open(&state.folder()?)?) {
        Err(client) => client.generate(origin, &request)?,
        Ok(alone) => {
            let changed = keys::generate(alone.place(origin, folder), &request, alone.now)?;
            alone.remark(changed, &state.folder()?)
        }
    };
    Ok(print_changed(&changed))
}

fn import(arguments: &ImportArguments) -> Result<Report, Failure> {
    let origin = &arguments.origin;
    let folder = &arguments.state.keys(arguments.keys.as_deref())?;
    let files = arguments
        .files
        .iter()
        .map(|file| absolute(file))
        .collect::<Result<_, _>>()?;
    let request = Import {
        folder: absolute(folder)?,
        files,
    };
    let changed = match Alone::of(open(&arguments.state.folder()?)?) {
        Err(client) => client.import(origin, &request)?,
        Ok(alone) => {
            let changed = keys::import(alone.place(origin, folder), &request, alone.now)?;
            alone.remark(changed, &arguments.state.folder()?)
        }
    };
    Ok(print_changed(&changed))
}

fn withdraw(arguments: &WithdrawArguments) -> Result<Report, Failure> {
    let origin = &arguments.origin;
    let request = Withdraw {
        tag: arguments.tag,
        reason: arguments.force.clone(),
        served: arguments.served,
    };
    let changed = match open(&arguments.state.folder()?)? {
        Access::Server(client) => client.withdraw(origin, &request)?,
        Access::Store(store, clock) => {
            if let Some(fault) = clock.judge().fault {
                let what = format!("nothing is withdrawn while the clock is wrong: {fault}");
                let advice = "set the clock, or if it is right: countersign accept clock";
                return Err(Failure::new(what).advice(advice));
            }
            keys::withdraw(origin, &request, None, &store, clock.now())?
        }
        Access::Nothing(absent) => return Err(absent.into()),
    };
    Ok(print_changed(&changed))
}

fn readmit(arguments: &ReadmitArguments) -> Result<Report, Failure> {
    let origin = &arguments.origin;
    let request = Readmit { tag: arguments.tag };
    let changed = match open(&arguments.state.folder()?)? {
        Access::Server(client) => client.readmit(origin, &request)?,
        Access::Store(store, clock) => keys::readmit(origin, &request, &store, clock.now())?,
        Access::Nothing(absent) => return Err(absent.into()),
    };
    Ok(print_changed(&changed))
}

fn list(arguments: &ListArguments) -> Result<Report, Failure> {
    let ZoneKeys { origin, keys, state } = &arguments.zone;
    let folder = &state.keys(keys.as_deref())?;
    let listed = match Alone::of(open(&state.folder()?)?) {
        Err(client) => client.keys(origin, &absolute(folder)?)?,
        Ok(alone) => keys::list(alone.place(origin, folder), alone.now)?,
    };
    let mut report = if arguments.json.json {
        Report::json(&listed)
    } else if listed.keys.is_empty() {
        Report::default().remark(format!("no keys of {origin} are known in {}", folder.display()))
    } else {
        Report::of(keys_table(&listed.keys).print(0))
    };
    report.negative = !listed.warnings.is_empty();
    Ok(listed.warnings.into_iter().fold(report, Report::remark))
}

fn ds(arguments: &KeysDsArguments) -> Result<Report, Failure> {
    let ZoneKeys { origin, keys, state } = &arguments.zone;
    let folder = &state.keys(keys.as_deref())?;
    let records = match Alone::of(open(&state.folder()?)?) {
        Err(client) => client.own_ds(origin, &absolute(folder)?)?,
        Ok(alone) => keys::own_ds(alone.place(origin, folder), alone.now)?,
    };
    if records.records.is_empty() {
        let what = format!("{origin} has no KSK or CSK of ours in {}", folder.display());
        return Err(Failure::new(what).advice("countersign keys generate makes some"));
    }
    Ok(print_ds(&records, arguments.json.json))
}

fn print_changed(changed: &KeysChanged) -> Report {
    let mut table = Table::new(&["TAG", "ROLE", "ALGORITHM", "STATE", "FILES"]);
    for key in &changed.keys {
        table.row(vec![
            key.tag.to_string(),
            key.role.clone(),
            key.algorithm.clone(),
            key.state.clone(),
            key.files
                .as_ref()
                .map_or("-".to_owned(), |files| files.display().to_string()),
        ]);
    }
    let report = Report::of(if table.is_empty() {
        String::new()
    } else {
        table.print(0)
    });
    changed
        .remarks
        .iter()
        .fold(report, |report, remark| report.remark(remark.as_str()))
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| Failure::from(error).context(path.display()))
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let failure = Self::new(refusal.error);
        match refusal.advice {
            Some(advice) => failure.advice(advice),
            None => failure,
        }
    }
}
