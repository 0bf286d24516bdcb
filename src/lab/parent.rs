//! The zone above: the delegation and the DS records that resolvers begin with. Served and signed by hickory-server,
//! so that every chain of the lab has a second implementation in it, and not ours.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crate::{
    dnssec::{algorithm, key::Dnskey, validate::Ds},
    wire::Name,
};
use arc_swap::ArcSwap;
use hickory_server::{
    dnssec::NxProofKind,
    net::runtime::{Time, TokioRuntimeProvider},
    proto::{
        dnssec::{
            Algorithm, DigestType, DnsSecError, DnssecSigner, SigningKey as _,
            crypto::EcdsaSigningKey,
            rdata::{DNSKEY, DNSSECRData, DS},
        },
        rr::{LowerName, Name as HickoryName, RData, Record, rdata},
    },
    server::{Request, RequestHandler, ResponseHandler, ResponseInfo, Server},
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneType},
};
use rustls::pki_types::PrivatePkcs8KeyDer;

/// How long a connection may be silent.
const TCP_IDLE: Duration = Duration::from_secs(5);
/// Answers that wait for a connection's reader.
const TCP_QUEUE: usize = 32;
/// The validity of its signatures: longer than any lab runs.
const VALIDITY: Duration = Duration::from_secs(7 * 86_400);

/// Why the parent cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ParentError {
    /// An address cannot be bound.
    #[error("the parent zone cannot be served on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// hickory refuses the zone.
    #[error("the parent zone cannot be made: {0}")]
    Zone(String),
}

impl From<DnsSecError> for ParentError {
    fn from(error: DnsSecError) -> Self {
        Self::Zone(error.to_string())
    }
}

/// The TTL of its proofs that something is not there, in seconds (RFC 2308 §5). A zone is delegated a moment after its
/// servers have started: no plan is to wait a minute for those who asked in between.
const DENIAL_TTL: u32 = 3;

/// What the parent says of the zone below it.
#[derive(Clone, Debug)]
pub struct Delegation {
    /// The zone.
    pub child: Name,
    /// Its name servers, with the addresses that a resolver needs to be told.
    pub servers: Vec<(Name, Vec<IpAddr>)>,
    /// Its DS RRset.
    pub ds: Vec<Ds>,
    /// The TTL of NS and DS records, in seconds.
    pub ttl: u32,
}

/// The parent zone, as it is served. It ends when this is dropped.
pub struct Parent {
    apex: Name,
    key: PrivatePkcs8KeyDer<'static>,
    anchor: Dnskey,
    catalog: Arc<ArcSwap<Catalog>>,
    addresses: Vec<SocketAddr>,
    serial: AtomicU32,
    _server: Server<Switch>,
}

impl fmt::Debug for Parent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parent({} on {:?})", self.apex, self.addresses)
    }
}

/// Hands each request to the zone of the moment.
struct Switch(Arc<ArcSwap<Catalog>>);

#[async_trait::async_trait]
impl RequestHandler for Switch {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        response: R,
    ) -> ResponseInfo {
        let catalog = self.0.load_full();
        catalog.handle_request::<R, T>(request, response).await
    }
}

impl Parent {
    /// Serves the zone on these addresses, over UDP and TCP, with nothing below it yet.
    ///
    /// # Errors
    /// When an address cannot be bound, or hickory refuses the zone.
    pub async fn start(apex: Name, addresses: &[SocketAddr]) -> Result<Self, ParentError> {
        let key = EcdsaSigningKey::generate_pkcs8(Algorithm::ECDSAP256SHA256)?;
        let public = EcdsaSigningKey::from_pkcs8(&key, Algorithm::ECDSAP256SHA256)?.to_public_key()?;
        // hickory signs everything with one key, and gives it the SEP flag.
        let anchor = Dnskey::new(
            crate::dnssec::key::ZONE | crate::dnssec::key::SEP,
            algorithm::Algorithm::ECDSAP256SHA256,
            &public.into_inner(),
        );
        let catalog = Arc::new(ArcSwap::from_pointee(Catalog::new()));
        let mut server = Server::new(Switch(Arc::clone(&catalog)));
        let mut bound = Vec::new();
        for &address in addresses {
            let failed = |source| ParentError::Bind { address, source };
            let (datagrams, stream) = super::bind_both(address).await.map_err(failed)?;
            let address = stream.local_addr().map_err(failed)?;
            server.register_listener(stream, TCP_IDLE, TCP_QUEUE);
            server.register_socket(datagrams);
            bound.push(address);
        }
        let parent = Self {
            apex,
            key,
            anchor,
            catalog,
            addresses: bound,
            serial: AtomicU32::new(1),
            _server: server,
        };
        parent.delegate(&[])?;
        Ok(parent)
    }

    /// Where it answers.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The zone's name.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The key that a resolver of the lab begins with.
    pub fn anchor(&self) -> &Dnskey {
        &self.anchor
    }

    /// Delegates these zones, and none else.
    ///
    /// # Errors
    /// When hickory refuses the zone.
    pub fn delegate(&self, below: &[Delegation]) -> Result<(), ParentError> {
        let apex = hickory_name(&self.apex)?;
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let mut zone: InMemoryZoneHandler<TokioRuntimeProvider> = InMemoryZoneHandler::empty(
            apex.clone(),
            ZoneType::Primary,
            AxfrPolicy::Deny,
            Some(NxProofKind::Nsec),
        );
        let host = apex
            .prepend_label("parent")
            .map_err(|error| ParentError::Zone(error.to_string()))?;
        let soa = rdata::SOA::new(host.clone(), host.clone(), serial, 3600, 900, 604_800, DENIAL_TTL);
        let mut records = vec![
            Record::from_rdata(apex.clone(), DENIAL_TTL, RData::SOA(soa)),
            Record::from_rdata(apex.clone(), 60, RData::NS(rdata::NS(host.clone()))),
        ];
        for address in &self.addresses {
            records.push(Record::from_rdata(host.clone(), 60, address_rdata(address.ip())));
        }
        for delegation in below {
            delegation.push_records(&mut records)?;
        }
        for record in records {
            // A record twice, as glue that two delegations share, changes nothing.
            zone.upsert_mut(record, serial);
        }
        let key = EcdsaSigningKey::from_pkcs8(&self.key, Algorithm::ECDSAP256SHA256)?;
        let dnskey = DNSKEY::from_key(&key.to_public_key()?);
        zone.add_zone_signing_key_mut(DnssecSigner::new(dnskey, Box::new(key), apex.clone(), VALIDITY))?;
        zone.secure_zone_mut()?;
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::new(&apex), vec![Arc::new(zone)]);
        self.catalog.store(Arc::new(catalog));
        Ok(())
    }
}

impl Delegation {
    fn push_records(&self, records: &mut Vec<Record>) -> Result<(), ParentError> {
        let child = hickory_name(&self.child)?;
        for (name, addresses) in &self.servers {
            let name = hickory_name(name)?;
            records.push(Record::from_rdata(
                child.clone(),
                self.ttl,
                RData::NS(rdata::NS(name.clone())),
            ));
            for address in addresses {
                records.push(Record::from_rdata(
                    name.clone(),
                    self.ttl,
                    address_rdata(*address),
                ));
            }
        }
        for ds in &self.ds {
            let ds = DS::new(
                ds.tag(),
                Algorithm::from_u8(ds.algorithm().0),
                DigestType::from(ds.digest_type()),
                ds.rdata()[4..].to_vec(),
            );
            records.push(Record::from_rdata(
                child.clone(),
                self.ttl,
                RData::DNSSEC(DNSSECRData::DS(ds)),
            ));
        }
        Ok(())
    }
}

fn address_rdata(address: IpAddr) -> RData {
    match address {
        IpAddr::V4(address) => RData::A(rdata::A(address)),
        IpAddr::V6(address) => RData::AAAA(rdata::AAAA(address)),
    }
}

fn hickory_name(name: &Name) -> Result<HickoryName, ParentError> {
    HickoryName::from_ascii(name.to_string()).map_err(|error| ParentError::Zone(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::{Asker, Question},
        clock::{Clock as _, SystemClock},
        dnssec::{
            algorithm::{DigestType, SigningAlgorithm},
            key::{SEP, SigningKey, ZONE},
            validate::{Chained, Insist, Verdict, keys_by_ds, validate},
        },
        multisigner::observe::{At, ds_at},
        wire::RrType,
    };

    /// Our validator takes the chain that hickory makes, for a DS and for its absence, before and after a change.
    #[tokio::test]
    async fn hickorys_chain_holds_and_follows_changes() {
        let root: Name = ".".parse().unwrap();
        let child: Name = "example.".parse().unwrap();
        let parent = Parent::start(root.clone(), &["127.0.0.1:0".parse().unwrap()])
            .await
            .unwrap();
        let asker = Asker::default();
        let now = SystemClock::default().now();
        let ask = |name: &Name, rtype| Question {
            name: name.clone(),
            rtype,
            dnssec: true,
            recursion: false,
        };
        let at = At {
            name: None,
            address: parent.addresses()[0],
        };
        let ds_seen = async || {
            ds_at(&asker, &child, std::slice::from_ref(&at)).await[0]
                .seen
                .clone()
                .unwrap()
        };
        assert_eq!(ds_seen().await, []);

        let ksk = SigningKey::generate(SigningAlgorithm::EcdsaP256Sha256, ZONE | SEP).unwrap();
        let ds = Ds::of(ksk.dnskey(), child.as_ref(), DigestType::Sha256);
        let delegation = Delegation {
            child: child.clone(),
            servers: vec![("ns.example.".parse().unwrap(), vec!["127.0.0.1".parse().unwrap()])],
            ds: vec![ds.clone()],
            ttl: 60,
        };
        parent.delegate(&[delegation]).unwrap();
        assert_eq!(ds_seen().await, [ds]);

        let anchor = [Ds::of(parent.anchor(), root.as_ref(), DigestType::Sha256)];
        let answer = asker.ask(at.address, &ask(&root, RrType::DNSKEY)).await.unwrap();
        let chained = keys_by_ds(&root, &anchor, &answer, now, Insist::AnyPath).unwrap();
        let Chained::Keys { keys, .. } = chained else {
            panic!("{chained:?}")
        };
        for (name, rtype) in [(&child, RrType::DS), (&root, RrType::SOA)] {
            let question = ask(name, rtype);
            let answer = asker.ask(at.address, &question).await.unwrap();
            let verdict = validate(&keys, (name.as_ref(), rtype), &answer, now);
            assert!(
                matches!(verdict, Verdict::Secure(_)),
                "{name} {rtype}: {verdict:?}"
            );
        }
    }
}
