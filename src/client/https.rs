//! An HTTPS client: rustls with ring, and the system's certificates, which come in through rustls-platform-verifier; a
//! list of certificates within this program would grow old with it. Redirections are not followed, and what runs on this
//! machine is asked without a proxy, for no proxy knows it.

use std::{net::IpAddr, sync::Arc, time::Duration};

use reqwest::{Client, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls_platform_verifier::Verifier;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// A client for the server at `url`, which may also rest on `extra` certificates.
///
/// # Errors
/// When TLS cannot be set up, in words.
pub fn client(url: &Url, extra: Vec<CertificateDer<'static>>) -> Result<Client, String> {
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls(extra).map_err(|error| error.to_string())?)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .user_agent(concat!("countersign/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| {
        let error = error.without_url();
        match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        }
    })
}

/// Whether that is this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn tls(extra: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra, provider.clone())?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        // "Dangerous" is any verifier that rustls does not make itself; this one is WebPKI's on the system's roots.
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}
