//! Who answers: the parent's servers and each provider's, what each of them shows at this moment, and the record of
//! what was served from when to when.

use super::{
    chain::{Data, Dnskeys, Ds, Keys, Members, Ns, Time},
    random::Random,
};

/// The classes of data whose signatures change together.
pub(super) const CLASSES: [&str; 6] = ["positive", "negative", "wildcard", "NS", "SOA", "CDS"];

/// A CDS RRset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cds {
    pub wanted: Keys,
    pub signers: Keys,
}

/// Something that a server shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Ds(Ds),
    /// The NS RRset: the delegation at the parent, the apex at a provider.
    Ns(Ns),
    Dnskeys(Dnskeys),
    Serving(bool),
    Cds(Option<Cds>),
    /// CSYNC: the parent is to take its NS RRset from here.
    Csync(bool),
    Data(usize, Data),
}

/// How many places a server has.
const PLACES: usize = 6 + CLASSES.len();

impl Part {
    /// Its place among the parts of a server.
    fn place(&self) -> usize {
        match self {
            Self::Ds(_) => 0,
            Self::Ns(_) => 1,
            Self::Dnskeys(_) => 2,
            Self::Serving(_) => 3,
            Self::Cds(_) => 4,
            Self::Csync(_) => 5,
            Self::Data(class, _) => 6 + class,
        }
    }
}

/// Whether a server is seen from where our server stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// It is.
    Seen,
    /// It should be, and cannot be reached.
    Blind,
    /// A site behind an address that leads elsewhere from here; nobody knows of it.
    Site,
}

/// One server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// The provider, or the parent.
    pub party: usize,
    pub name: String,
    pub sight: Sight,
    /// It takes nothing new any more.
    pub stuck: bool,
    /// How much later than others it takes what is new.
    pub late: Time,
    pub ds: Ds,
    pub ns: Ns,
    pub dnskeys: Dnskeys,
    pub serving: bool,
    pub cds: Option<Cds>,
    pub csync: bool,
    pub data: [Data; CLASSES.len()],
    versions: [usize; PLACES],
}

/// A version of one part at one party: first and last shown by some server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version {
    pub part: Part,
    /// None until some server shows it.
    pub first: Option<Time>,
    /// Up to now while some server shows it.
    pub last: Time,
}

/// All servers.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    pub all: Vec<Server>,
    /// The places in `all` of each party's servers; the parent's are last.
    pub of: Vec<Vec<usize>>,
    record: Vec<[Vec<Version>; PLACES]>,
}

/// What a party's servers show at the beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub ds: Ds,
    pub ns: Ns,
    pub dnskeys: Dnskeys,
    pub serving: bool,
    pub cds: Option<Cds>,
    pub csync: bool,
    pub data: [Data; CLASSES.len()],
}

impl Servers {
    pub fn new() -> Self {
        Self {
            all: Vec::new(),
            of: Vec::new(),
            record: Vec::new(),
        }
    }

    /// Adds a party whose servers have these names.
    pub fn add_party(&mut self, names: &[(String, Sight)], beginning: &Beginning) -> usize {
        let party = self.of.len();
        let first = self.all.len();
        for (name, sight) in names {
            self.all.push(Server {
                party,
                name: name.clone(),
                sight: *sight,
                stuck: false,
                late: 0,
                ds: beginning.ds,
                ns: beginning.ns,
                dnskeys: beginning.dnskeys,
                serving: beginning.serving,
                cds: beginning.cds,
                csync: beginning.csync,
                data: beginning.data,
                versions: [0; PLACES],
            });
        }
        self.of.push((first..self.all.len()).collect());
        let mut record: [Vec<Version>; PLACES] = Default::default();
        let data = beginning.data.iter().enumerate();
        let parts = [
            Part::Ds(beginning.ds),
            Part::Ns(beginning.ns),
            Part::Dnskeys(beginning.dnskeys),
            Part::Serving(beginning.serving),
            Part::Cds(beginning.cds),
            Part::Csync(beginning.csync),
        ];
        for part in parts
            .into_iter()
            .chain(data.map(|(class, data)| Part::Data(class, *data)))
        {
            record[part.place()].push(Version {
                part,
                first: Some(0),
                last: 0,
            });
        }
        self.record.push(record);
        party
    }

    /// The party above all providers.
    pub fn parent(&self) -> usize {
        self.of.len() - 1
    }

    pub fn newest_dnskeys(&self, party: usize) -> Dnskeys {
        match self.record[party][2].last().map(|version| version.part) {
            Some(Part::Dnskeys(dnskeys)) => dnskeys,
            _ => self.all[self.of[party][0]].dnskeys,
        }
    }

    /// A new version, which servers are yet to show; none when it is what the newest one is already.
    pub fn declare(&mut self, party: usize, part: Part) -> Option<usize> {
        let versions = &mut self.record[party][part.place()];
        if versions.last().is_some_and(|newest| newest.part == part) {
            return None;
        }
        versions.push(Version {
            part,
            first: None,
            last: 0,
        });
        Some(versions.len() - 1)
    }

    /// Whether a server would show something else with this version.
    pub fn would_take(&self, server: usize, part: &Part, version: usize) -> bool {
        let server = &self.all[server];
        !server.stuck && server.versions[part.place()] < version
    }

    /// A server shows a version from now on, unless it has a newer one.
    pub fn take(&mut self, server: usize, part: Part, version: usize, now: Time) -> bool {
        if !self.would_take(server, &part, version) {
            return false;
        }
        let server = &mut self.all[server];
        let place = part.place();
        let before = std::mem::replace(&mut server.versions[place], version);
        match part {
            Part::Ds(ds) => server.ds = ds,
            Part::Ns(ns) => server.ns = ns,
            Part::Dnskeys(dnskeys) => server.dnskeys = dnskeys,
            Part::Serving(serving) => server.serving = serving,
            Part::Cds(cds) => server.cds = cds,
            Part::Csync(csync) => server.csync = csync,
            Part::Data(class, data) => server.data[class] = data,
        }
        let record = &mut self.record[server.party][place];
        record[before].last = now;
        record[version].first.get_or_insert(now);
        true
    }

    /// What a party served in each place, one after another; what is shown still lasts until `now`.
    pub fn served(&self, party: usize, now: Time) -> impl Iterator<Item = Vec<Version>> + '_ {
        self.record[party]
            .iter()
            .enumerate()
            .map(move |(place, versions)| {
                let shown = |number: usize| {
                    let servers = self.of[party].iter();
                    servers
                        .clone()
                        .any(|server| self.all[*server].versions[place] == number)
                };
                let versions = versions
                    .iter()
                    .enumerate()
                    .filter(|(_, version)| version.first.is_some());
                versions
                    .map(|(number, version)| Version {
                        last: if shown(number) { now } else { version.last },
                        ..*version
                    })
                    .collect()
            })
    }

    /// Some server of some of these providers that answers.
    pub fn some_answering(&self, members: Members, random: &mut Random) -> Option<usize> {
        // A provider is drawn first, so that one with many servers is not asked more than another.
        let mut left = members & ((1 << self.parent()) - 1);
        while left != 0 {
            let mut skip = random.below(u64::from(left.count_ones()));
            let mut rest = left;
            while skip > 0 {
                rest &= rest - 1;
                skip -= 1;
            }
            let provider = rest.trailing_zeros() as usize;
            let servers = &self.of[provider];
            let start = random.below(servers.len() as u64) as usize;
            let answering = (0..servers.len())
                .map(|turn| servers[(start + turn) % servers.len()])
                .find(|server| self.all[*server].serving);
            if answering.is_some() {
                return answering;
            }
            left &= !(1 << provider);
        }
        None
    }

    /// Some server of the parent.
    pub fn some_of_parent(&self, random: &mut Random) -> usize {
        let servers = &self.of[self.parent()];
        servers[random.below(servers.len() as u64) as usize]
    }
}
