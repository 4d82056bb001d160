//! What may be typed. Help texts are English, since clap writes the rest of the help; results and errors follow the
//! terminal's language.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Gets WeChat Mini Program subscribe messages to people, and can prove what became of every one.
#[derive(Debug, Parser)]
#[command(name = "hongyan", version, propagate_version = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// The configuration file
    #[arg(long, global = true, env = "HONGYAN_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// sqlite:PATH or postgres://…
    #[arg(long, global = true, env = "HONGYAN_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Where everything is written [default: ./hongyan-data]
    #[arg(long, global = true, env = "HONGYAN_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Prints JSON for programs instead of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// How log lines are written: text, or a JSON object each
    #[arg(long, global = true, env = "HONGYAN_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Plays the whole loop with a simulated WeChat, in a throw-away directory
    Demo(Demo),
    /// Runs the service
    Serve(Serve),
    /// Runs WeChat in a box, alone
    Simulator(Simulator),
    /// Registers and changes mini programs
    #[command(subcommand)]
    App(App),
    /// Makes and revokes API keys
    #[command(subcommand)]
    Key(Key),
    /// Who signs in to the console
    #[command(subcommand)]
    Operator(crate::commands::operator::Operator),
    /// Shows the one-time code that claims a fresh installation
    SetupCode,
    /// Sends one message
    Send(Send),
    /// Reads an app's templates from WeChat
    #[command(subcommand)]
    Templates(Templates),
    /// Keeps what the team knows of people: external ids, tags, attributes
    #[command(subcommand, visible_alias = "people")]
    Subscriber(crate::commands::people::Subscriber),
    /// Shows and corrects the ledger of grants
    #[command(subcommand)]
    Ledger(crate::commands::ledger::Ledger),
    /// Campaigns that recur
    #[command(subcommand)]
    Schedule(crate::commands::operations::Schedule),
    /// Where events go
    #[command(subcommand)]
    Webhook(crate::commands::operations::Webhook),
    /// What WeChat and the app's budget still allow today
    Quota(crate::commands::operations::Quota),
    /// Spreadsheets of recipients
    #[command(subcommand)]
    Upload(crate::commands::upload::Upload),
    /// Who receives while an app is on trial
    #[command(subcommand)]
    Guest(crate::commands::people::Guest),
    /// One notice to many
    #[command(subcommand)]
    Campaign(crate::commands::campaign::Campaign),
    /// Checks the installation and its apps, and says what to do
    Doctor(crate::commands::doctor::Doctor),
    /// Shows and checks the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The nodes that serve one database
    #[command(subcommand)]
    Cluster(Cluster),
    /// Moves an installation to another database
    Copy(Copy),
    /// Copies the database into a file, beside a running server
    Backup(crate::commands::backup::Backup),
    /// Puts a backup in the database's place; nothing is sent until `release`
    Restore(crate::commands::backup::Restore),
    /// Lets apps send again after a restore
    Release(crate::commands::backup::Release),
    /// The key that seals every secret in the database
    #[command(subcommand)]
    MasterKey(crate::commands::master_key::MasterKey),
    /// Takes over what teams have already
    #[command(subcommand)]
    Import(crate::commands::import::Import),
    /// Brings the database to this version
    Migrate(Migrate),
    /// Prints the REST interface's OpenAPI document
    Openapi,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Ends after the loop; exit code 0 only if every step was seen to happen
    #[arg(long)]
    pub(crate) once: bool,
    /// Opens the phone in the browser
    #[arg(long)]
    pub(crate) open: bool,
    /// Lets a real phone on the same network in: listens on every address
    #[arg(long)]
    pub(crate) lan: bool,
    /// Your own mini program in the phone: the folder of its H5 build, or its address
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) mini_program: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) listens: Listens,
    /// What this node does, where several serve one PostgreSQL
    #[arg(long, env = "HONGYAN_ROLE", value_enum, default_value_t = NodeRole::All)]
    pub(crate) role: NodeRole,
}

/// Where the service listens.
#[derive(Debug, Args)]
pub(crate) struct Listens {
    /// The address that serves everything [default: 127.0.0.1:8700]
    #[arg(long, env = "HONGYAN_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// A second address with only /callback, /mp, /healthz and the aliases
    #[arg(long, env = "HONGYAN_PUBLIC_LISTEN", value_name = "ADDR")]
    pub(crate) public_listen: Option<SocketAddr>,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NodeRole {
    /// Pages, calls, callbacks, and sending
    All,
    /// Pages, calls and callbacks; others send
    Web,
    /// Sends; serves only health and metrics
    Worker,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Nodes, lanes, and how far they are behind
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// Where it is now; nothing may be serving it
    #[arg(long, value_name = "URL")]
    pub(crate) from: String,
    /// Where it is to be: an empty database, or one that an earlier copy of the same began
    #[arg(long, value_name = "URL")]
    pub(crate) to: String,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Simulator {
    /// Where it listens
    #[arg(long, default_value = "127.0.0.1:8701", value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// What shall go wrong for the sample app: a fault script, JSON or TOML
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
    /// Your own mini program in the phone: the folder of its H5 build, or its address
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) mini_program: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<SimulatorCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimulatorCommand {
    /// Sets, shows and clears what goes wrong at a running simulator
    #[command(subcommand)]
    Faults(Faults),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Faults {
    /// Puts a fault script in force, in place of the one before
    Set {
        /// The script, JSON or TOML; - is standard input
        file: PathBuf,
        #[command(flatten)]
        at: Running,
    },
    /// Shows the script in force and how often its rules struck
    Show {
        #[command(flatten)]
        at: Running,
    },
    /// Shows what went wrong, newest first
    Log {
        /// How many
        #[arg(long, default_value_t = 20, value_name = "N")]
        limit: usize,
        #[command(flatten)]
        at: Running,
    },
    /// Lets nothing go wrong any more
    Clear {
        #[command(flatten)]
        at: Running,
    },
}

/// A running simulator and an app there.
#[derive(Debug, Args)]
pub(crate) struct Running {
    /// Its address
    #[arg(long, default_value = "http://127.0.0.1:8701", value_name = "URL")]
    pub(crate) at: String,
    /// The AppID [default: the only one there]
    #[arg(long, value_name = "APPID")]
    pub(crate) app: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum App {
    /// Registers a mini program
    Add(AppAdd),
    /// Changes a mini program; what is not given stays
    Set(AppSet),
    /// Shows one, without its secrets
    Show {
        /// The AppID
        app_id: String,
    },
    /// Lists all
    List,
    /// Forgets one; its messages and ledger stay as the record
    Remove {
        /// The AppID
        app_id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct AppAdd {
    /// The AppID
    pub(crate) app_id: String,
    /// A name for people
    #[arg(long)]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) secret: Secret,
    #[command(flatten)]
    pub(crate) push: Push,
}

#[derive(Debug, Args)]
pub(crate) struct AppSet {
    /// The AppID
    pub(crate) app_id: String,
    /// A name for people
    #[arg(long)]
    pub(crate) name: Option<String>,
    #[command(flatten)]
    pub(crate) secret: Secret,
    #[command(flatten)]
    pub(crate) push: Push,
    /// Ends at once the callback keys that earlier changes replaced
    #[arg(long)]
    pub(crate) end_previous_keys: bool,
    /// A setting: rate_per_second=300, concurrency=64, on_unknown=hold|resend|give_up, customer_service=transfer|silent|relay, callback_tolerance=3600,
    /// relay_url=https://…, previous_keys_hours=24
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) settings: Vec<(String, String)>,
}

/// The AppSecret: never on the command line itself.
#[derive(Debug, Args)]
pub(crate) struct Secret {
    /// Reads the AppSecret from standard input
    #[arg(long, group = "app_secret")]
    pub(crate) secret_stdin: bool,
    /// Reads the AppSecret from a file
    #[arg(long, value_name = "FILE", group = "app_secret")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Reads the AppSecret from an environment variable
    #[arg(long, value_name = "VAR", group = "app_secret")]
    pub(crate) secret_env: Option<String>,
}

/// The message push (消息推送).
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The Token that stands in WeChat's console
    #[arg(long, value_name = "TOKEN", conflicts_with_all = ["callback_token_file", "generate"])]
    pub(crate) callback_token: Option<String>,
    /// Reads the Token from a file
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    pub(crate) callback_token_file: Option<PathBuf>,
    /// The EncodingAESKey that stands in WeChat's console
    #[arg(long, value_name = "KEY", conflicts_with_all = ["aes_key_file", "generate"])]
    pub(crate) aes_key: Option<String>,
    /// Reads the EncodingAESKey from a file
    #[arg(long, value_name = "FILE", conflicts_with = "generate")]
    pub(crate) aes_key_file: Option<PathBuf>,
    /// Makes Token and EncodingAESKey and prints them, to be pasted into WeChat's console
    #[arg(long)]
    pub(crate) generate: bool,
    /// How WeChat encrypts [default: safe]
    #[arg(long, value_enum)]
    pub(crate) callback_mode: Option<ModeName>,
    /// The data format that is set in WeChat's console [default: json]
    #[arg(long, value_enum)]
    pub(crate) callback_format: Option<FormatName>,
    /// Where WeChat's server API is [default: api.weixin.qq.com over https]
    #[arg(long, value_name = "URL")]
    pub(crate) api_base_url: Option<String>,
    /// A second callback path, such as /user; empty removes it
    #[arg(long, value_name = "PATH")]
    pub(crate) alias: Option<String>,
    /// The third-party platform whose keys these are (XML, safe mode); empty where they are the app's own again
    #[arg(long, value_name = "APPID")]
    pub(crate) platform_appid: Option<String>,
    /// Where access tokens come from: `wechat`, or the URL of the team's own token server [default: wechat]
    #[arg(long, value_name = "wechat|URL")]
    pub(crate) token_source: Option<String>,
    /// Reads the header for that URL (`Authorization: Bearer …`) from a file
    #[arg(long, value_name = "FILE", requires = "token_source", conflicts_with = "token_header_env")]
    pub(crate) token_header_file: Option<PathBuf>,
    /// Reads the header for that URL from an environment variable
    #[arg(long, value_name = "VAR", requires = "token_source")]
    pub(crate) token_header_env: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum ModeName {
    Plain,
    Compat,
    Safe,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum FormatName {
    Json,
    Xml,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Makes a key and prints it once, alone on standard output
    Create(KeyCreate),
    /// Lists the keys, without their texts
    List,
    /// Ends a key
    Revoke {
        /// Its number
        number: i64,
    },
}

#[derive(Debug, Args)]
pub(crate) struct KeyCreate {
    /// What it is for
    #[arg(long)]
    pub(crate) name: String,
    /// The one app that it sees
    #[arg(long, value_name = "APPID", required_unless_present = "all_apps", conflicts_with = "all_apps")]
    pub(crate) app: Option<String>,
    /// It sees all apps
    #[arg(long)]
    pub(crate) all_apps: bool,
    /// send, read, manage, token; several with commas
    #[arg(long, required = true, value_delimiter = ',')]
    pub(crate) scope: Vec<service::Scope>,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// The AppID
    pub(crate) app_id: String,
    /// The user's openid; `last` is whoever subscribed last
    #[arg(long)]
    pub(crate) to: String,
    /// The template's id
    #[arg(long)]
    pub(crate) template: String,
    /// A field: thing8=物业费
    #[arg(long = "data", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) data: Vec<(String, String)>,
    /// The page that the card opens
    #[arg(long)]
    pub(crate) page: Option<String>,
    /// Waits for the outcome; exit code 1 unless WeChat took the message
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Templates {
    /// Reads them from WeChat; changes nothing there
    Sync {
        /// The AppID
        app_id: String,
    },
    /// Lists them as they were last read
    List {
        /// The AppID
        app_id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Checks the configuration, the master key and the database
    Check(Listens),
    /// Prints the commented default file
    Default,
    /// Prints a site for nginx that passes only what must face the internet
    Nginx(Listens),
    /// Prints a site for Caddy that passes only what must face the internet
    Caddy(Listens),
    /// Prints a hardened unit for systemd
    Systemd(Listens),
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Only says what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| format!("{text} is not of the form NAME=VALUE"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        super::Arguments::command().debug_assert();
    }
}
