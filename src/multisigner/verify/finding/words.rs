//! The sentences.

use super::{Finding, and_more, each, list};

impl Finding {
    /// What is so.
    pub fn what(&self) -> String {
        match self {
            Self::KeyMissing {
                lacking,
                signers,
                tag,
                algorithm,
                role,
                ..
            } => format!(
                "the DNSKEY RRset of {} lacks {} {tag} ({algorithm}), with which {} signs",
                list(lacking),
                role.map_or("key".to_owned(), |role| role.to_string()),
                list(signers)
            ),
            Self::KeyMissingBesideAnother {
                lacking,
                signers,
                tag,
                algorithm,
                role,
            } => format!(
                "the DNSKEY RRset of {} lacks {role} {tag} ({algorithm}), with which {} signs beside another key",
                list(lacking),
                list(signers)
            ),
            Self::IdleKeyMissing {
                lacking,
                shown_by,
                tag,
                algorithm,
            } => format!(
                "the DNSKEY RRset of {} lacks ZSK {tag} ({algorithm}), which {} shows and nobody signs with",
                list(lacking),
                list(shown_by)
            ),
            Self::KskMissing {
                lacking,
                shown_by,
                tag,
                algorithm,
                ..
            } => format!(
                "the DNSKEY RRset of {} lacks KSK {tag} ({algorithm}) of {}",
                list(lacking),
                list(shown_by)
            ),
            Self::BogusAnswer {
                server,
                question,
                more,
                why,
                with_keys_of,
            } => {
                let with = match &with_keys_of[..] {
                    [] => String::new(),
                    servers => format!(" with the keys of {}", list(servers)),
                };
                let more = match more {
                    0 => String::new(),
                    more => format!(" (and to {more} more questions)"),
                };
                format!("the answer of {server} to {question}{more} is bogus{with}: {why}")
            }
            Self::EndsTooSoon {
                server,
                owner,
                rtype,
                ttl,
                expiration,
            } => format!(
                "at {server} the signature of {owner} {rtype} ends at {expiration}, within its TTL of {ttl} s"
            ),
            Self::HashesTooOften { server, iterations } => {
                format!("the NSEC3 records of {server} hash {iterations} times more than once")
            }
            Self::NotSigning { server, .. } => {
                format!("{server} does not sign the zone: it has no DNSKEY RRset")
            }
            Self::NoChain { servers, why } => {
                format!(
                    "the parent's DS does not lead to the DNSKEY RRset of {}: {why}",
                    list(servers)
                )
            }
            Self::DsWithoutKey { ds, perhaps_of } if perhaps_of.is_empty() => {
                format!("the parent has DS {ds}, and nobody shows the key")
            }
            Self::DsWithoutKey { ds, perhaps_of } => format!(
                "the parent has DS {ds}, and nobody who was seen shows the key; perhaps {} does",
                list(perhaps_of)
            ),
            Self::DsNotCounted { ds } => {
                format!("the parent has DS {ds}, of an algorithm or digest that validators do not count")
            }
            Self::DsDiffers { by_server } => {
                let parts = by_server.iter().map(|(servers, ds)| match &ds[..] {
                    [] => format!("{servers}: none"),
                    ds => format!("{servers}: {}", ds.join(", ")),
                });
                format!("the DS RRsets differ: {}", parts.collect::<Vec<_>>().join("; "))
            }
            Self::NoDs { shown_by } => format!("there is no DS at {}", list(shown_by)),
            Self::KskWithoutDs {
                server,
                tag,
                algorithm,
            } => format!(
                "KSK {tag} ({algorithm}) signs the DNSKEY RRset of {server} and has no DS; another one has"
            ),
            Self::BogusToTheStrict { servers, why } => {
                format!(
                    "validators that insist on every algorithm of the DS RRset refuse {}: {why}",
                    list(servers)
                )
            }
            Self::AlgorithmsDiffer { by_server } => {
                let parts = by_server.iter().map(|(server, algorithms)| {
                    let names: Vec<String> = algorithms.iter().map(ToString::to_string).collect();
                    format!("{server}: {}", names.join(" "))
                });
                format!(
                    "the servers sign with different algorithms: {}",
                    parts.collect::<Vec<_>>().join("; ")
                )
            }
            Self::ContentDiffers { question, by_server } => {
                format!("{question} differs: {}", each(by_server))
            }
            Self::TtlDiffers { question, by_server } => {
                format!("the TTL of {question} differs: {}", each(by_server))
            }
            Self::OnlyAt {
                question,
                having,
                lacking,
                whole_name,
            } => format!(
                "{question} is at {}, and {} says that there is no such {}",
                list(having),
                list(lacking),
                if *whole_name { "name" } else { "data" }
            ),
            Self::NameOnlyAt {
                name,
                having,
                lacking,
            } => format!(
                "the name {name} is there at {}, and {} says that it is not",
                list(having),
                list(lacking)
            ),
            Self::NegativeTtlDiffers { by_server } => {
                format!("the TTL of denials (SOA minimum) differs: {}", each(by_server))
            }
            Self::NameServersDiffer { by_server } => format!("the NS RRsets differ: {}", each(by_server)),
            Self::CdsDiffers { by_server } => format!("CDS and CDNSKEY differ: {}", each(by_server)),
            Self::CdsContradicts { servers, why } => {
                format!(
                    "CDS and CDNSKEY of {} contradict each other: {why}",
                    list(servers)
                )
            }
            Self::CdsLeavesOut { servers, wish } => format!(
                "CDS asks the parent for a DS RRset that does not lead to the DNSKEY RRset of {}: {wish}",
                list(servers)
            ),
            Self::CdsUnvouched { servers } => {
                format!(
                    "CDS or CDNSKEY of {} is signed by no key that has a DS",
                    list(servers)
                )
            }
            Self::DenialsDiffer { by_server } => format!("the ways of denial differ: {}", each(by_server)),
            Self::Unreachable { server, why } => format!("{server} is not seen from here: {why}"),
            Self::Lame { server, why } => format!("{server} does not answer for the zone: {why}"),
            Self::NoTcp { server, why } => format!("{server} does not answer over TCP: {why}"),
            Self::Unanswered {
                server,
                question,
                more,
                why,
            } => format!("{server} does not answer {question}{}: {why}", and_more(*more)),
            Self::ParentUnknown => "the parent was not asked for the DS".to_owned(),
            Self::ParentUnseen { server, why } => format!("{server} cannot be used: {why}"),
        }
    }

    /// What follows from it.
    pub fn consequence(&self) -> String {
        match self {
            Self::KeyMissing {
                lacking,
                signers,
                question,
                ..
            } if lacking == signers => format!(
                "everything from there is bogus to every resolver that took the keys there, such as {question}"
            ),
            Self::KeyMissing {
                lacking,
                signers,
                question,
                ..
            } => format!(
                "a resolver that took the DNSKEY RRset from {} finds answers from {} bogus, such as {question}",
                list(lacking),
                list(signers)
            ),
            Self::KeyMissingBesideAnother { lacking, signers, .. } => format!(
                "as soon as {} signs with that key alone, a resolver that took the DNSKEY RRset from {} finds it bogus",
                list(signers),
                list(lacking)
            ),
            Self::IdleKeyMissing { lacking, .. } => format!(
                "as soon as somebody signs with it, a resolver that took the DNSKEY RRset from {} finds that bogus",
                list(lacking)
            ),
            Self::KskMissing { harms_cds: false, .. } => "no harm to data: a KSK signs the DNSKEY RRset it comes with, \
                and that RRset is believed by its DS (RFC 8901 section 6.2)"
                .to_owned(),
            Self::KskMissing {
                shown_by,
                lacking,
                harms_cds: true,
                ..
            } => format!(
                "no harm to data; but CDS and CDNSKEY of {}, which that KSK signs, do not validate with the DNSKEY \
                 RRset of {}, so a parent may not take them",
                list(shown_by),
                list(lacking)
            ),
            Self::BogusAnswer { with_keys_of, .. } if with_keys_of.is_empty() => {
                "a resolver answers SERVFAIL to whoever asks this, as often as it asks that server".to_owned()
            }
            Self::BogusAnswer {
                server, with_keys_of, ..
            } => format!(
                "a resolver that took the DNSKEY RRset from {} answers SERVFAIL as often as it asks {server}",
                list(with_keys_of)
            ),
            Self::EndsTooSoon { .. } => {
                "what a cache gives on to other validators is bogus to them when the signature has ended".to_owned()
            }
            Self::HashesTooOften { .. } => {
                "validators stop at some such number and take its denials for unsigned (RFC 9276 section 3.2)".to_owned()
            }
            Self::NotSigning {
                beside_signers: true, ..
            } => "a resolver that sees a DS at the parent finds everything from there bogus".to_owned(),
            Self::NotSigning { .. } => "nothing in the zone is protected".to_owned(),
            Self::NoChain { servers, .. } => format!(
                "a resolver that asks {} for the DNSKEY RRset finds the whole zone bogus",
                list(servers)
            ),
            Self::DsWithoutKey { perhaps_of, .. } if perhaps_of.is_empty() => {
                "when it is the last that is left of its algorithm, the zone is bogus to everybody".to_owned()
            }
            Self::DsWithoutKey { .. } => "whether it leads anywhere is not known".to_owned(),
            Self::DsNotCounted { .. } => "it protects nothing".to_owned(),
            Self::DsDiffers { .. } => {
                "which DS RRset a resolver has depends on whom it asks; each was judged by itself".to_owned()
            }
            Self::NoDs { .. } => "resolvers take the zone for unsigned, and protect nobody".to_owned(),
            Self::KskWithoutDs { .. } => "when the key that has a DS goes, the zone is bogus from there".to_owned(),
            Self::BogusToTheStrict { .. } => {
                "most resolvers are content with any algorithm (RFC 6840 section 5.11); hardened ones answer SERVFAIL"
                    .to_owned()
            }
            Self::AlgorithmsDiffer { .. } => {
                "signers of one zone need a common algorithm (RFC 8901 section 4); hardened resolvers answer SERVFAIL"
                    .to_owned()
            }
            Self::ContentDiffers { .. } => {
                "what people get depends on which server their resolver asks".to_owned()
            }
            Self::TtlDiffers { .. } | Self::NegativeTtlDiffers { .. } => {
                "caches hold it for different times; waits in key changes must count with the longest".to_owned()
            }
            Self::OnlyAt { having, lacking, .. } | Self::NameOnlyAt { having, lacking, .. } => format!(
                "a resolver that asked {} keeps the denial, and denies what {} has (RFC 8198)",
                list(lacking),
                list(having)
            ),
            Self::NameServersDiffer { .. } => {
                "some servers are asked by some resolvers only, or not at all; a server that leaves stays in use".to_owned()
            }
            Self::CdsDiffers { .. } => {
                "a parent that looks at all name servers changes nothing (RFC 9975); one that looks at one may drop \
                 the DS of the others"
                    .to_owned()
            }
            Self::CdsContradicts { .. } | Self::CdsUnvouched { .. } => {
                "the parent refuses them, and the DS RRset stays as it is".to_owned()
            }
            Self::CdsLeavesOut { servers, .. } => format!(
                "when the parent obeys, a resolver that asks {} for the DNSKEY RRset finds the whole zone bogus",
                list(servers)
            ),
            Self::DenialsDiffer { .. } => {
                "each proof stands by itself, so all validate; caches make less of them (RFC 8901 section 5)".to_owned()
            }
            Self::Unreachable { .. } | Self::Lame { .. } => "of it nothing is known".to_owned(),
            Self::NoTcp { .. } => "answers that do not fit a datagram, as key sets may, do not arrive".to_owned(),
            Self::Unanswered { .. } => "resolvers ask another server".to_owned(),
            Self::ParentUnknown | Self::ParentUnseen { .. } => {
                "whether the chain of trust leads to the keys is not known".to_owned()
            }
        }
    }

    /// What to do.
    pub fn advice(&self) -> String {
        match self {
            Self::KeyMissing { record: Some(record), .. } => format!(
                "publish it there at once: {record} (between us and a provider, `countersign peer sync` does)"
            ),
            Self::KeyMissing { .. } => {
                "find out whose key it is: nobody publishes it; then publish it everywhere".to_owned()
            }
            Self::KeyMissingBesideAnother { .. } => "publish it there before the other key goes".to_owned(),
            Self::IdleKeyMissing { .. } => {
                "if it is to sign, publish it everywhere first; if it is retired, take it out of all sets".to_owned()
            }
            Self::KskMissing { .. } => "nothing has to be done; to have one set everywhere, publish it there".to_owned(),
            Self::BogusAnswer { .. } => "mend it at that server; `delv` and dnsviz.net show the same from elsewhere".to_owned(),
            Self::EndsTooSoon { .. } => "have it signed anew earlier, or lower the TTL".to_owned(),
            Self::HashesTooOften { .. } => "set the iterations to 0 there".to_owned(),
            Self::NotSigning { .. } => {
                "switch DNSSEC on there, or take the server out of the NS RRset".to_owned()
            }
            Self::NoChain { .. } => {
                "give the parent a DS for a KSK that signs there; `countersign ds` prints those of all providers".to_owned()
            }
            Self::DsWithoutKey { .. } | Self::DsNotCounted { .. } => {
                "take it out at the parent, or publish the key if it is to come".to_owned()
            }
            Self::DsDiffers { .. } => "wait for the parent to publish everywhere, and look again".to_owned(),
            Self::NoDs { .. } => "give the parent the DS of every provider: `countersign ds` prints them".to_owned(),
            Self::KskWithoutDs { .. } => "give the parent its DS too, unless it is about to go".to_owned(),
            Self::BogusToTheStrict { .. } | Self::AlgorithmsDiffer { .. } => {
                "sign with the same algorithms everywhere, and give the parent a SHA-256 DS for every KSK".to_owned()
            }
            Self::ContentDiffers { question, .. }
            | Self::TtlDiffers { question, .. }
            | Self::OnlyAt { question, .. } => format!(
                "make it the same, or accept it: --accept '{}'",
                question.replace(' ', "/")
            ),
            Self::NameOnlyAt { name, .. } => format!("make it the same, or accept it: --accept '{name}'"),
            Self::NegativeTtlDiffers { .. } => "make the TTL and the minimum of the SOA the same".to_owned(),
            Self::NameServersDiffer { .. } => "name the servers of all providers at each of them, and at the parent".to_owned(),
            Self::CdsDiffers { .. } | Self::CdsContradicts { .. } | Self::CdsLeavesOut { .. } => {
                "publish the same CDS and CDNSKEY everywhere, for every provider's KSK; or none".to_owned()
            }
            Self::CdsUnvouched { .. } => "sign them with a KSK that has a DS (RFC 7344 section 4.1)".to_owned(),
            Self::DenialsDiffer { .. } => "nothing has to be done; `denial` in the configuration chooses ours".to_owned(),
            Self::Unreachable { .. } | Self::Lame { .. } | Self::Unanswered { .. } | Self::NoTcp { .. } => {
                "look there, or from another place".to_owned()
            }
            Self::ParentUnknown => "name a server of the parent with --parent, or the DS with --ds".to_owned(),
            Self::ParentUnseen { .. } => "name another server of the parent with --parent".to_owned(),
        }
    }
}
