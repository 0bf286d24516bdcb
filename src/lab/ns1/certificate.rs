//! A certificate of its own for the API, and the authority that vouches for it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// Names beside the address: what clients are pointed at, and NS1's own, for those that cannot be pointed elsewhere.
const NAMES: [&str; 2] = ["localhost", "api.nsone.net"];

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// TLS does not take it.
    #[error("cannot use the certificate that was made")]
    Use(#[from] rustls::Error),
}

/// What a TLS server needs, and what its clients do.
#[derive(Debug)]
pub struct Certificate {
    /// For the server.
    pub config: Arc<ServerConfig>,
    /// The authority's certificate, for those who want to trust it.
    pub ca_pem: String,
}

/// Makes a certificate for `address` with new keys. It holds as long as anybody tries: clocks may be simulated.
///
/// # Errors
/// When keys cannot be made.
pub fn make(address: IpAddr) -> Result<Certificate, CertificateError> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "Countersign's simulated NS1");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let mut server = CertificateParams::new(NAMES.map(String::from).to_vec())?;
    // Whoever listens on all addresses is reached by these.
    let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let addresses = loopback.into_iter().chain([address]);
    server.subject_alt_names.extend(addresses.map(SanType::IpAddress));
    server
        .distinguished_name
        .push(DnType::CommonName, "the simulated NS1's API");
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &authority)?;

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certificate {
        config: Arc::new(config),
        ca_pem: authority.pem(),
    })
}
