//! The verdicts: every answer of every server with every DNSKEY RRset that some server has. Servers with equal sets
//! are judged once.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::{Discriminant, discriminant},
};

use super::{COLUMNS, Cell, Column, Finding, Pair, Probe, Purpose, ServerLine, Survey, Surveyed, Target};
use crate::{
    dnssec::{
        algorithm::Algorithm,
        denial::{Denial, TypeBitmap},
        key::Dnskey,
        validate::{
            Bogus, Ending, Insecure, SeenDenial, Shown, Verdict, ZoneKeys,
            reason::{BadSignature, SignatureFault},
            validate,
        },
    },
    multisigner::observe::{KeyAnswer, Unseen, read_keys},
    wire::{Name, NameRef, RrType, message::Rcode, received::Received},
};

/// A key as signatures name it.
pub(super) type KeyId = (u16, Algorithm);

/// One server, its answers as far as they can be used.
#[derive(Debug)]
pub(super) struct Server<'a> {
    pub target: &'a Target,
    /// What sentences call it.
    pub label: String,
    pub answers: Vec<Option<&'a Received>>,
    /// Why it is not judged at all.
    pub unseen: Option<Unseen>,
    pub keys: Option<KeyAnswer>,
    /// Its DNSKEY RRset among [`Verdicts::sets`].
    pub set: Option<usize>,
    /// The keys that sign its data, good or not.
    pub used: BTreeSet<KeyId>,
}

/// A DNSKEY RRset, and the servers that have it.
#[derive(Debug)]
pub(super) struct KeySet {
    pub keys: BTreeSet<Dnskey>,
    pub servers: Vec<usize>,
    zone_keys: ZoneKeys,
}

/// All verdicts.
#[derive(Debug)]
pub(super) struct Verdicts<'a> {
    pub survey: &'a Survey,
    pub servers: Vec<Server<'a>>,
    pub sets: Vec<KeySet>,
    /// By set, server and question.
    verdicts: Vec<Vec<Vec<Option<Verdict>>>>,
}

/// A bogus answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure<'v> {
    pub set: usize,
    pub server: usize,
    pub probe: &'v Probe,
    pub why: &'v Bogus,
}

impl Failure<'_> {
    /// The keys that it is bogus for the want of, when nothing else is wrong.
    pub fn wanted_keys(&self) -> Option<BTreeSet<KeyId>> {
        let Bogus::Signatures { faults, .. } = self.why else {
            return None;
        };
        let is_missing = |bad: &BadSignature| bad.fault == SignatureFault::KeyMissing;
        let wanted = || faults.iter().map(|bad| (bad.tag, bad.algorithm)).collect();
        faults.iter().all(is_missing).then(wanted)
    }
}

impl<'a> Server<'a> {
    fn new(survey: &'a Survey, said: &'a Surveyed) -> Self {
        let apex = &survey.zone;
        let usable = |(probe, answer): (&Probe, &'a Result<Received, Unseen>)| {
            answer
                .as_ref()
                .ok()
                .filter(|answer| fault(probe, answer, apex).is_none())
        };
        let answers: Vec<_> = survey.probes.iter().zip(&said.answers).map(usable).collect();
        let unseen = match &said.answers[0] {
            Err(unseen) => Some(unseen.clone()),
            Ok(answer) => fault(&survey.probes[0], answer, apex).map(Unseen::Odd),
        };
        let is_seen = unseen.is_none();
        let of_keys = survey
            .probes
            .iter()
            .position(|probe| probe.purpose == Purpose::Keys);
        let keys = of_keys
            .filter(|_| is_seen)
            .and_then(|at| answers[at])
            .and_then(|answer| read_keys(answer, apex, survey.now).ok());
        let answers = if is_seen {
            answers
        } else {
            vec![None; answers.len()]
        };
        Self {
            target: &said.target,
            label: said.target.to_string(),
            used: answers
                .iter()
                .flatten()
                .flat_map(|answer| data_signers(answer, apex))
                .collect(),
            answers,
            unseen,
            keys,
            set: None,
        }
    }

    /// The key of its set that a signature names.
    pub fn key(&self, (tag, algorithm): KeyId) -> Option<&Dnskey> {
        let mut keys = self.keys.iter().flat_map(|answer| &answer.keys);
        keys.find(|key| key.algorithm() == algorithm && key.key_tag() == tag)
    }
}

/// Why an answer is none that can be judged.
fn fault(probe: &Probe, answer: &Received, apex: &Name) -> Option<String> {
    match answer.rcode {
        Rcode::NOERROR | Rcode::NXDOMAIN | Rcode::YXDOMAIN => {}
        code => return Some(format!("it answers {code} to {probe}")),
    }
    // A referral has no AA, and is one only below the apex.
    (probe.name == *apex && !answer.authoritative)
        .then(|| format!("it answers {probe} without authority (AA)"))
}

/// The keys that signed an answer's RRsets but for key sets, as the signatures say.
fn data_signers(answer: &Received, apex: &Name) -> BTreeSet<KeyId> {
    let records = answer.answers.iter().chain(&answer.authorities);
    let signatures = records.filter(|record| record.rtype == RrType::RRSIG);
    signatures
        .filter_map(|record| {
            let (fixed, rest) = record.rdata.split_first_chunk::<18>()?;
            let covers = RrType(u16::from_be_bytes([fixed[0], fixed[1]]));
            let is_keys = matches!(covers, RrType::DNSKEY | RrType::CDS | RrType::CDNSKEY);
            let (signer, _) = NameRef::split_from(rest).ok()?;
            let tag = u16::from_be_bytes([fixed[16], fixed[17]]);
            (!is_keys && signer == apex.as_ref()).then_some((tag, Algorithm(fixed[2])))
        })
        .collect()
}

impl<'a> Verdicts<'a> {
    pub fn new(survey: &'a Survey) -> Self {
        let said = survey.servers.iter();
        let mut servers: Vec<Server<'_>> = said.map(|said| Server::new(survey, said)).collect();
        let mut sets: Vec<KeySet> = Vec::new();
        for (index, server) in servers.iter_mut().enumerate() {
            let Some(answer) = &server.keys else { continue };
            let keys: BTreeSet<Dnskey> = answer.keys.iter().cloned().collect();
            let place = sets.iter().position(|set| set.keys == keys).unwrap_or(sets.len());
            if place == sets.len() {
                sets.push(KeySet {
                    zone_keys: ZoneKeys::new(survey.zone.clone(), keys.iter().cloned()),
                    keys,
                    servers: Vec::new(),
                });
            }
            sets[place].servers.push(index);
            server.set = Some(place);
        }
        let judge = |set: &KeySet, server: &Server<'_>| -> Vec<Option<Verdict>> {
            let questions = survey.probes.iter().zip(&server.answers);
            let verdict = |(probe, answer): (&Probe, &Option<&Received>)| {
                let question = (probe.name.as_ref(), probe.rtype);
                answer.map(|answer| validate(&set.zone_keys, question, answer, survey.now))
            };
            questions.map(verdict).collect()
        };
        let verdicts = sets
            .iter()
            .map(|set| servers.iter().map(|server| judge(set, server)).collect())
            .collect();
        Self {
            survey,
            servers,
            sets,
            verdicts,
        }
    }

    pub fn labels(&self, servers: &[usize]) -> Vec<String> {
        servers
            .iter()
            .map(|index| self.servers[*index].label.clone())
            .collect()
    }

    /// The verdict on a server's answer with its own keys.
    pub fn own(&self, server: usize, probe: usize) -> Option<&Verdict> {
        let set = self.servers[server].set?;
        self.verdicts[set][server][probe].as_ref()
    }

    /// Every bogus answer, whoever's keys.
    pub fn failures(&self) -> impl Iterator<Item = Failure<'_>> {
        self.verdicts.iter().enumerate().flat_map(move |(set, servers)| {
            servers.iter().enumerate().flat_map(move |(server, verdicts)| {
                let probes = self.survey.probes.iter();
                probes
                    .zip(verdicts)
                    .filter_map(move |(probe, verdict)| match verdict {
                        Some(Verdict::Bogus(why)) => Some(Failure {
                            set,
                            server,
                            probe,
                            why,
                        }),
                        _ => None,
                    })
            })
        })
    }

    /// Whether an answer is bogus for the want of a KSK alone, one that signs no data: it then harms only who asks
    /// for the key sets themselves.
    pub fn wants_a_ksk_only(&self, failure: &Failure<'_>) -> bool {
        let server = &self.servers[failure.server];
        let is_ksk = |key: &KeyId| !server.used.contains(key) && server.key(*key).is_some_and(Dnskey::is_sep);
        matches!(failure.probe.purpose, Purpose::Keys | Purpose::Cds)
            && failure.wanted_keys().is_some_and(|keys| keys.iter().all(is_ksk))
    }

    /// Servers that cannot be judged, or not in all, and those that do not sign.
    pub fn reachability(&self, findings: &mut Vec<Finding>) {
        let anyone_signs = !self.sets.is_empty();
        for (server, said) in self.servers.iter().zip(&self.survey.servers) {
            let label = || server.label.clone();
            match &server.unseen {
                Some(Unseen::Unreachable(why)) => findings.push(Finding::Unreachable {
                    server: label(),
                    why: why.clone(),
                }),
                Some(Unseen::Odd(why)) => findings.push(Finding::Lame {
                    server: label(),
                    why: why.clone(),
                }),
                None => {
                    if let Err(why) = &said.tcp {
                        findings.push(Finding::NoTcp {
                            server: label(),
                            why: why.to_string(),
                        });
                    }
                    findings.extend(self.unanswered(server, said));
                    if server.keys.is_none() && self.answers_keys(server) {
                        findings.push(Finding::NotSigning {
                            server: label(),
                            beside_signers: anyone_signs,
                        });
                    }
                }
            }
        }
    }

    fn answers_keys(&self, server: &Server<'_>) -> bool {
        let mut probes = self.survey.probes.iter().zip(&server.answers);
        probes.any(|(probe, answer)| probe.purpose == Purpose::Keys && answer.is_some())
    }

    /// The questions that a server did not answer, though it answers others.
    fn unanswered(&self, server: &Server<'_>, said: &Surveyed) -> Option<Finding> {
        let probes = self.survey.probes.iter().zip(&said.answers).zip(&server.answers);
        let without: Vec<(&Probe, String)> = probes
            .filter(|(_, answer)| answer.is_none())
            .map(|((probe, said), _)| match said {
                Ok(answer) => {
                    let why = fault(probe, answer, &self.survey.zone);
                    (probe, why.unwrap_or_default())
                }
                Err(why) => (probe, why.to_string()),
            })
            .collect();
        let (probe, why) = without.first()?;
        Some(Finding::Unanswered {
            server: server.label.clone(),
            question: probe.to_string(),
            more: without.len() - 1,
            why: why.clone(),
        })
    }

    /// Answers that are bogus for another reason than a missing key, and signatures that end too soon.
    pub fn bogus_answers(&self, findings: &mut Vec<Finding>) {
        type Kind = (usize, Discriminant<Bogus>, Option<Discriminant<SignatureFault>>);
        let mut groups: Vec<(Kind, Vec<Failure<'_>>)> = Vec::new();
        for failure in self.failures() {
            let does_not_sign = self.servers[failure.server].keys.is_none();
            if failure.wanted_keys().is_some() || does_not_sign {
                continue;
            }
            let kind = (
                failure.server,
                discriminant(failure.why),
                first_fault(failure.why),
            );
            match groups.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, group)) => group.push(failure),
                None => groups.push((kind, vec![failure])),
            }
        }
        for (_, group) in groups {
            let sets: BTreeSet<usize> = group.iter().map(|failure| failure.set).collect();
            let own = self.servers[group[0].server].set;
            let questions: BTreeSet<String> = group.iter().map(|one| one.probe.to_string()).collect();
            let with_keys_of = if own.is_some_and(|own| sets.contains(&own)) {
                Vec::new()
            } else {
                sets.iter()
                    .flat_map(|set| self.labels(&self.sets[*set].servers))
                    .collect()
            };
            findings.push(Finding::BogusAnswer {
                server: self.servers[group[0].server].label.clone(),
                question: group[0].probe.to_string(),
                more: questions.len() - 1,
                why: group[0].why.to_string(),
                with_keys_of,
            });
        }
        for server in 0..self.servers.len() {
            findings.extend(self.ends_too_soon(server));
            findings.extend(self.hashes_too_often(server));
        }
    }

    /// What a server's answers show that ends, of those that are authentic.
    fn endings(&self, server: usize) -> impl Iterator<Item = &Ending> {
        let probes = 0..self.survey.probes.len();
        probes.filter_map(move |probe| match self.own(server, probe) {
            Some(Verdict::Secure(proof)) => proof.first_to_end.as_ref(),
            _ => None,
        })
    }

    /// Of all answers what a cache may no longer take first, and whose it is.
    pub fn first_to_end(&self) -> Option<(String, Ending)> {
        let servers = self.servers.iter().enumerate();
        let endings =
            servers.flat_map(|(index, server)| self.endings(index).map(move |ending| (server, ending)));
        let (server, first) = endings.min_by_key(|(_, ending)| ending.last_moment())?;
        Some((server.label.clone(), first.clone()))
    }

    fn ends_too_soon(&self, server: usize) -> Option<Finding> {
        let soon = self
            .endings(server)
            .filter(|ending| ending.last_moment() < self.survey.now);
        let first = soon.min_by_key(|ending| ending.expiration)?;
        Some(Finding::EndsTooSoon {
            server: self.servers[server].label.clone(),
            owner: first.owner.clone(),
            rtype: first.rtype,
            ttl: first.ttl,
            expiration: first.expiration,
        })
    }

    fn hashes_too_often(&self, server: usize) -> Option<Finding> {
        let mut own = (0..self.survey.probes.len()).filter_map(|probe| self.own(server, probe));
        own.find_map(|verdict| match verdict {
            Verdict::Insecure(Insecure::Iterations(iterations)) => Some(Finding::HashesTooOften {
                server: self.servers[server].label.clone(),
                iterations: *iterations,
            }),
            _ => None,
        })
    }

    /// A row a pair.
    pub fn table(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (keys_from, has_keys) in self.servers.iter().enumerate() {
            let Some(set) = has_keys.set else { continue };
            for (answers_from, answers) in self.servers.iter().enumerate() {
                if answers.unseen.is_none() {
                    let cells = self.cells(set, answers_from);
                    pairs.push(Pair {
                        keys_from,
                        answers_from,
                        cells,
                    });
                }
            }
        }
        pairs
    }

    fn cells(&self, set: usize, server: usize) -> [Cell; COLUMNS.len()] {
        let mut by_column: BTreeMap<Column, Cell> = BTreeMap::new();
        let answers = self.survey.probes.iter().zip(&self.servers[server].answers);
        for ((probe, answer), verdict) in answers.zip(&self.verdicts[set][server]) {
            let (Some(answer), Some(verdict)) = (answer, verdict) else {
                continue;
            };
            let cell = by_column.entry(column(probe, answer)).or_default();
            cell.judged += 1;
            if let Verdict::Bogus(why) = verdict {
                cell.bogus += 1;
                let failure = Failure {
                    set,
                    server,
                    probe,
                    why,
                };
                cell.for_want_of_a_ksk += usize::from(self.wants_a_ksk_only(&failure));
            }
        }
        COLUMNS.map(|column| by_column.get(&column).copied().unwrap_or_default())
    }

    /// A line a server; `chains` are whether the parent's DS leads there.
    pub fn lines(&self, chains: &[Option<bool>]) -> Vec<ServerLine> {
        let line = |(index, server): (usize, &Server<'_>)| ServerLine {
            target: server.target.clone(),
            unseen: server.unseen.clone(),
            chain: chains[index],
            keys: server
                .keys
                .iter()
                .flat_map(|answer| answer.keys.iter().map(Dnskey::key_tag))
                .collect(),
            signers: server.used.iter().map(|(tag, _)| *tag).collect(),
            denial: self.denial(index).map(|seen| denial_in_words(&seen)),
        };
        self.servers.iter().enumerate().map(line).collect()
    }

    /// How a server denies: by what it proves for a name that is not there, else for data that is not there.
    pub fn denial(&self, server: usize) -> Option<SeenDenial> {
        let proofs = || {
            (0..self.survey.probes.len()).filter_map(move |probe| match self.own(server, probe) {
                Some(Verdict::Secure(proof)) => Some(proof),
                _ => None,
            })
        };
        let of = |shown| {
            proofs()
                .filter(move |proof| proof.shows == shown)
                .find_map(|proof| proof.denial.clone())
        };
        of(Shown::NoName).or_else(|| of(Shown::NoData))
    }
}

pub(super) fn denial_in_words(seen: &SeenDenial) -> String {
    match (seen.way, &seen.parameters) {
        (Denial::Compact, _) => "compact".to_owned(),
        (Denial::Nsec, _) => "NSEC".to_owned(),
        (Denial::Nsec3, Some(parameters)) if parameters.iterations > 0 || !parameters.salt.is_empty() => {
            format!(
                "NSEC3 ({} iterations, {} octets of salt)",
                parameters.iterations,
                parameters.salt.len()
            )
        }
        (Denial::Nsec3, _) => "NSEC3".to_owned(),
    }
}

fn first_fault(why: &Bogus) -> Option<Discriminant<SignatureFault>> {
    let Bogus::Signatures { faults, .. } = why else {
        return None;
    };
    let telling = faults.iter().find(|bad| bad.fault != SignatureFault::KeyMissing);
    telling.or(faults.first()).map(|bad| discriminant(&bad.fault))
}

/// Which kind of answer it is.
fn column(probe: &Probe, answer: &Received) -> Column {
    let is_alias = |record: &crate::wire::received::Record| record.rtype == RrType::CNAME;
    let has_data = answer
        .answers
        .iter()
        .any(|record| record.rtype == probe.rtype || is_alias(record));
    match probe.purpose {
        Purpose::Keys => Column::Dnskey,
        Purpose::Cds => Column::Cds,
        Purpose::Wildcard => Column::Wildcard,
        // Asked for as a name that nobody has, and answered all the same.
        Purpose::Absent if has_data => Column::Wildcard,
        _ if has_data => Column::Positive,
        _ if denies_the_name(answer) => Column::NoName,
        _ => Column::NoData,
    }
}

pub(super) fn denies_the_name(answer: &Received) -> bool {
    let says_so = |record: &crate::wire::received::Record| {
        record.rtype == RrType::NSEC
            && NameRef::split_from(&record.rdata)
                .is_ok_and(|(_, types)| TypeBitmap(types).contains(RrType::NXNAME))
    };
    answer.rcode == Rcode::NXDOMAIN || answer.authorities.iter().any(says_so)
}
