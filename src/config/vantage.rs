//! Other places to ask from: `[[vantage]]`.

use std::time::Duration;

use super::{file::File, problem::Position};
use crate::client::Relay;

/// How long one server may take that is asked from another place: a look waits for it.
const VANTAGE_TIMES: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// The other places to ask from, and what is wrong with them.
pub(super) fn resolve_vantages(file: &File, problem: &mut impl FnMut(Position, String)) -> Vec<Relay> {
    let mut vantages: Vec<Relay> = Vec::new();
    for vantage in &file.vantage {
        let (name, at) = (&vantage.name.value, vantage.name.at);
        if vantages.iter().any(|known| known.name == *name) {
            let what = format!("the vantage \"{name}\" is there already; remove one of them");
            problem(at, what);
        }
        if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic()) {
            problem(at, "a vantage's name is letters, digits and marks".to_owned());
        }
        let arguments = vantage.command.value.iter().skip(1);
        for (sign, what) in [("%h", "address"), ("%p", "port")] {
            if !arguments.clone().any(|argument| argument.contains(sign)) {
                let what = format!(
                    "the command must say to which server it connects: write {sign} among its arguments where the {what} belongs"
                );
                problem(vantage.command.at, what);
            }
        }
        if !VANTAGE_TIMES.contains(&vantage.timeout.value) {
            let what = "a second at least (\"1s\") and a minute at most (\"60s\")".to_owned();
            problem(vantage.timeout.at, what);
        }
        vantages.push(Relay {
            name: name.clone(),
            command: vantage.command.value.clone(),
            timeout: vantage.timeout.value,
        });
    }
    vantages
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, parse};

    fn read(vantages: &str) -> Result<Config, String> {
        let text = format!(
            "listen = [\"127.0.0.1:5300\"]\n{vantages}\n[[zone]]\norigin = \"example.\"\nfile = \"zone\"\n"
        );
        parse(text.as_bytes(), Path::new("countersign.toml"))
            .map_err(|problems| problems.iter().map(|problem| format!("{problem}\n")).collect())
    }

    #[test]
    fn a_vantage_is_a_name_and_a_command_that_says_where_it_connects_to() {
        let config = read(
            "[[vantage]]\nname = \"tokyo\"\ncommand = [\"ssh\", \"-W\", \"[%h]:%p\", \"tokyo\"]\ntimeout = \"5s\"",
        );
        let vantages = config.unwrap().vantages;
        assert_eq!(
            (vantages[0].name.as_str(), vantages[0].timeout.as_secs()),
            ("tokyo", 5)
        );
        assert_eq!(vantages[0].command, ["ssh", "-W", "[%h]:%p", "tokyo"]);
        let refused = |vantages: &str, words: &str| {
            let problems = read(vantages).unwrap_err();
            assert!(problems.contains(words), "{problems}");
        };
        let good = "command = [\"x\", \"%h\", \"%p\"]";
        refused(
            "[[vantage]]\nname = \"a\"\ncommand = [\"%h\", \"%p\"]",
            "countersign.toml:4:11: the command must say",
        );
        refused("[[vantage]]\nname = \"a\"\ncommand = []", "write %p");
        refused(
            &format!("[[vantage]]\nname = \"a b\"\n{good}"),
            "a vantage's name",
        );
        refused(
            &format!("[[vantage]]\nname = \"a\"\n{good}\ntimeout = \"0s\""),
            "a minute at most",
        );
        refused(
            &format!("[[vantage]]\nname = \"a\"\n{good}\n[[vantage]]\nname = \"a\"\n{good}"),
            "there already",
        );
    }
}
