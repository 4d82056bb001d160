//! `hongyan config systemd`: the unit, hardened; with the settings that the environment holds now.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::cli::Global;
use crate::config::Config;
use crate::locale::say;

/// Where the program belongs, if it does not lie in a place of the system's now.
const PROGRAM: &str = "/usr/local/bin/hongyan";
/// Where data belongs, if the configuration names no absolute place.
const DATA: &str = "/var/lib/hongyan";

/// Settings that go from the environment into the unit. Secrets never do: see [`CREDENTIALS`].
const CARRIED: [&str; 10] = [
    "HONGYAN_LISTEN",
    "HONGYAN_PUBLIC_LISTEN",
    "HONGYAN_PUBLIC_URL",
    "HONGYAN_TRUSTED_PROXIES",
    "HONGYAN_WEBHOOKS_ALLOW_PRIVATE",
    "HONGYAN_DATABASE_CONNECTIONS",
    "HONGYAN_NODE_NAME",
    "HONGYAN_LEASE_SECONDS",
    "HONGYAN_ROLE",
    "RUST_LOG",
];

/// Secrets: the variable, and the credential by which systemd hands its file over.
const CREDENTIALS: [(&str, &str); 2] =
    [("HONGYAN_MASTER_KEY", "master-key"), ("HONGYAN_DATABASE_URL", "database-url")];

/// What the unit is made of.
#[derive(Debug)]
pub(super) struct Unit {
    program: PathBuf,
    data_dir: PathBuf,
    config: Option<PathBuf>,
    carried: Vec<(&'static str, String)>,
    credentials: Vec<(&'static str, &'static str, PathBuf)>,
    /// Whether an address has a port that only root may listen on.
    low_port: bool,
    /// What the reader has to do or to know.
    pub(super) remarks: Vec<String>,
}

impl Unit {
    /// From the configuration, the environment (`variable`) and the place of this program.
    pub(super) fn of(
        config: &Config,
        global: &Global,
        variable: impl Fn(&str) -> Option<OsString>,
        program: &Path,
    ) -> Self {
        let mut remarks = Vec::new();
        let program = if ["/usr", "/opt", "/srv"].iter().any(|place| program.starts_with(place)) {
            program.to_owned()
        } else {
            remarks.push(format!("{}{PROGRAM}", say("请把程序复制到 ", "Copy the program to ")));
            PROGRAM.into()
        };
        let data_dir = if config.data_dir.is_absolute() {
            config.data_dir.clone()
        } else {
            remarks.push(format!(
                "{} {DATA} ({})",
                say("数据目录改为", "The data directory becomes"),
                say("当前为相对路径", "it is a relative path now")
            ));
            DATA.into()
        };
        if data_dir.starts_with("/home") || data_dir.starts_with("/root") {
            remarks.push(
                say(
                    "单元启用了 ProtectHome，服务无法访问 /home 与 /root；请换一个数据目录。",
                    "The unit hides /home and /root from the service: choose another data directory.",
                )
                .to_owned(),
            );
        }
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let carried = CARRIED
            .iter()
            .filter_map(|name| Some((*name, given(name)?.to_string_lossy().into_owned())))
            .collect();
        let mut credentials = Vec::new();
        for (name, credential) in CREDENTIALS {
            let file = given(&format!("{name}_FILE")).map(PathBuf::from);
            let file = file.or_else(|| config.master_key_file.clone().filter(|_| credential == "master-key"));
            if let Some(file) = file {
                credentials.push((name, credential, file));
            } else if given(name).is_some() {
                let file = PathBuf::from(format!("/etc/hongyan/{credential}"));
                remarks.push(format!(
                    "{name}: {} {} (root, 0600)",
                    say("不会写入单元，请把它的值存入", "is not written into the unit; put its value into"),
                    file.display()
                ));
                credentials.push((name, credential, file));
            }
        }
        let low_port = [Some(config.listen), config.public_listen].iter().flatten().any(|a| a.port() < 1024);
        Self {
            program,
            data_dir,
            config: global.config.clone().map(absolute),
            carried,
            credentials,
            low_port,
            remarks,
        }
    }

    /// The unit's text.
    pub(super) fn text(&self) -> String {
        let mut text = String::from(
            "# Hongyan as a service of systemd, by `hongyan config systemd`.\n\
             # 由 hongyan config systemd 生成。\n\
             # useradd --system --home-dir /var/lib/hongyan --shell /usr/sbin/nologin hongyan\n\
             # /etc/systemd/system/hongyan.service, then: systemctl daemon-reload && systemctl enable --now hongyan\n\
             # Commands beside it / 在它旁边执行命令: sudo -u hongyan hongyan --data-dir ",
        );
        let _ = writeln!(text, "{} …", self.data_dir.display());
        for remark in &self.remarks {
            let _ = writeln!(text, "# ! {remark}");
        }
        let _ = write!(
            text,
            "\n[Unit]\nDescription=Hongyan, WeChat Mini Program subscribe messages\nWants=network-online.target\n\
             After=network-online.target postgresql.service\n\n[Service]\n\
             # Ready is told once the database is migrated and every address listened on.\nType=notify\n\
             ExecStart={} serve\nUser=hongyan\nGroup=hongyan\n",
            self.program.display()
        );
        let _ = writeln!(text, "{}", environment("HONGYAN_DATA_DIR", &self.data_dir.display().to_string()));
        if let Some(config) = &self.config {
            let _ = writeln!(text, "{}", environment("HONGYAN_CONFIG", &config.display().to_string()));
        }
        for (name, value) in &self.carried {
            let _ = writeln!(text, "{}", environment(name, value));
        }
        for (name, credential, file) in &self.credentials {
            // systemd reads the file as root; the service sees a copy that nobody else does.
            let _ = writeln!(text, "LoadCredential={credential}:{}", file.display());
            let _ = writeln!(text, "Environment={name}_FILE=%d/{credential}");
        }
        // Where the system gives huge pages to everybody.
        text.push_str(
            "# Small pages: huge ones take some 20 MB more when idle.\nEnvironment=MIMALLOC_ALLOW_THP=0\n",
        );
        text.push_str("EnvironmentFile=-/etc/hongyan/hongyan.env\n");
        match self.data_dir.strip_prefix("/var/lib") {
            Ok(below) => {
                let _ = writeln!(text, "StateDirectory={}\nStateDirectoryMode=0700", below.display());
            }
            Err(_) => {
                let _ = writeln!(text, "ReadWritePaths=\"{}\"", self.data_dir.display());
            }
        }
        text.push_str(
            "UMask=0077\nLimitNOFILE=65536\nRestart=always\nRestartSec=2\n\
             # A migration of a large database may take minutes, a graceful stop ten seconds and a call's length.\n\
             TimeoutStartSec=30min\nTimeoutStopSec=40\n\n",
        );
        text.push_str(if self.low_port { LOW_PORT } else { NO_PRIVILEGE });
        text.push_str(HARDENING);
        text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        text
    }
}

const LOW_PORT: &str = "# A port below 1024.\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n\
                        CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n";
const NO_PRIVILEGE: &str = "CapabilityBoundingSet=\nPrivateUsers=yes\n";

/// What the service does not need, it cannot do. A test compares the system calls of a run with the filter.
const HARDENING: &str = "\
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
";

/// A line for a variable, quoted as systemd reads it.
fn environment(name: &str, value: &str) -> String {
    let value = value.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"");
    if value.contains([' ', '"', '\\', '\'']) {
        format!("Environment=\"{name}={value}\"")
    } else {
        format!("Environment={name}={value}")
    }
}

fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::front::tests::config;
    use super::*;

    fn global(config: Option<&str>) -> Global {
        Global {
            config: config.map(PathBuf::from),
            database_url: None,
            data_dir: None,
            json: false,
            log_format: crate::cli::LogFormat::Text,
        }
    }

    /// The unit of the packages: a configuration file, data and program in the usual places.
    pub(crate) fn packaged() -> Unit {
        let file = global(Some("/etc/hongyan/hongyan.toml"));
        Unit::of(&config(None, &[]), &file, |_| None, Path::new(PROGRAM))
    }

    #[test]
    fn the_environment_goes_in_and_secrets_stay_out() {
        let mut settings = config(None, &[]);
        settings.data_dir = "/srv/hongyan data".into();
        settings.listen.set_port(80);
        let variable = |name: &str| match name {
            "HONGYAN_PUBLIC_URL" => Some("https://push.example.com/50%".into()),
            "HONGYAN_DATABASE_URL" => Some("postgres://u:geheim@h/d".into()),
            "HONGYAN_MASTER_KEY_FILE" => Some("/etc/hongyan/key".into()),
            _ => None,
        };
        let unit = Unit::of(&settings, &global(None), variable, Path::new("/root/target/debug/hongyan"));
        let text = unit.text();
        for line in [
            "\nExecStart=/usr/local/bin/hongyan serve\n",
            "\nEnvironment=HONGYAN_PUBLIC_URL=https://push.example.com/50%%\n",
            "\nEnvironment=\"HONGYAN_DATA_DIR=/srv/hongyan data\"\n",
            "\nLoadCredential=master-key:/etc/hongyan/key\nEnvironment=HONGYAN_MASTER_KEY_FILE=%d/master-key\n",
            "\nLoadCredential=database-url:/etc/hongyan/database-url\n",
            "\nReadWritePaths=\"/srv/hongyan data\"\n",
            "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(!text.contains("geheim") && !text.contains("PrivateUsers"), "{text}");
        assert_eq!(unit.remarks.len(), 2, "{:?}", unit.remarks);
    }
}
