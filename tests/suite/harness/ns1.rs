//! The simulated NS1 as a process of its own, and what is done at it through its API.

use std::{
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{
    message::Query,
    process::{Server, countersign, free_address, output, repository, write},
};

/// The API key that it takes, which must never show up in what our programs say.
pub const API_KEY: &str = "canary-which-nobody-may-print";
/// How long it may take to be ready.
const STARTING: Duration = Duration::from_secs(20);

/// `countersign lab ns1` with the example zone and two name servers.
#[derive(Debug)]
pub struct SimulatedNs1 {
    /// Where its certificate and the API key lie.
    folder: PathBuf,
    pub server: Server,
    pub api: SocketAddr,
    pub dns: [SocketAddr; 2],
}

impl SimulatedNs1 {
    /// Starts it; `signed`: whether it signs `origin` from the start.
    pub fn start(folder: &Path, origin: &str, signed: bool) -> Self {
        Self::start_with(folder, origin, &repository("zones/example.zone"), signed)
    }

    /// The same with another zone.
    pub fn start_with(folder: &Path, origin: &str, zone: &Path, signed: bool) -> Self {
        let (api, dns) = (free_address(), [free_address(), free_address()]);
        let mut command = countersign();
        command
            .args(["lab", "ns1", "--api", &api.to_string(), "--api-key", API_KEY])
            .args(["--dns", &dns[0].to_string(), "--dns", &dns[1].to_string()])
            .arg("--zone")
            .arg(format!("{origin}={}", zone.display()))
            .arg("--ca")
            .arg(folder.join("ca.pem"));
        if signed {
            command.arg("--signed");
        }
        let ready = Query::plain(origin, "SOA");
        let server = Server::start("countersign lab ns1", command, dns[0], &ready);
        server.stderr().wait_for("ready: ", STARTING).unwrap();
        let started = Self {
            folder: folder.to_owned(),
            server,
            api,
            dns,
        };
        started.write_api_key(API_KEY);
        started
    }

    /// Writes the file with the API key that our server reads.
    pub fn write_api_key(&self, key: &str) {
        let path = write(&self.folder, "ns1.key", key);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// The lines of a [[provider]] that lead here.
    pub fn provider(&self) -> String {
        format!(
            "[[provider]]\nname = \"ns1\"\nkind = \"ns1\"\nendpoint = \"https://{}/v1/\"\napi_key_file = \"ns1.key\"\n\
             ca_file = \"ca.pem\"\nservers = [\"{}\", \"{}\"]\n",
            self.api, self.dns[0], self.dns[1],
        )
    }

    /// Turns a knob, as its help says.
    pub fn knob(&self, name: &str, value: &str) {
        self.request("PUT", "/lab/knobs", &format!("{{\"{name}\": \"{value}\"}}"));
    }

    /// A request of a person with the API key, which must succeed.
    pub fn request(&self, method: &str, path: &str, body: &str) {
        let mut command = Command::new("curl");
        command
            .args(["-sS", "--fail-with-body", "--cacert"])
            .arg(self.folder.join("ca.pem"))
            .args(["-H", &format!("X-NSONE-Key: {API_KEY}"), "-X", method])
            .args(["-d", body, &format!("https://{}{path}", self.api)]);
        let done = output(&mut command);
        assert!(done.status.success(), "{done:?}");
    }
}
