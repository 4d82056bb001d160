//! What may be typed after `hongyan campaign`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use service::campaigns::Resendable;

use crate::cli::pair;

#[derive(Debug, Subcommand)]
pub(crate) enum Campaign {
    /// Drafts a campaign; nothing is sent before it is started
    Create(Box<Create>),
    /// Lists an app's campaigns, newest first
    List {
        /// The AppID
        app_id: String,
    },
    /// Shows one with its counts
    Show(Named),
    /// Says what a start would do now
    Forecast(Named),
    /// Makes every message and sends none
    DryRun(Named),
    /// Sends one recipient's text to somebody of your choice
    Test {
        #[command(flatten)]
        named: Named,
        /// The openid that gets it
        #[arg(long)]
        to: String,
        /// The line of the list whose text is sent
        #[arg(long)]
        row: Option<i64>,
    },
    /// Starts a draft
    Start {
        #[command(flatten)]
        named: Named,
        /// Shows its progress until it ends
        #[arg(long)]
        watch: bool,
    },
    /// Approves what somebody else made
    Approve(Named),
    /// Takes a request for approval back
    Withdraw(Named),
    /// Stops it for now
    Pause(Named),
    /// Goes on
    Resume(Named),
    /// Ends it
    Cancel(Named),
    /// Tries again what was not sent
    ResendFailed {
        #[command(flatten)]
        named: Named,
        /// Which; failed, undelivered and expired unless given
        #[arg(long = "state", value_enum)]
        states: Vec<Resending>,
    },
    /// Makes a new draft that says the same
    Copy(Named),
    /// Removes a draft
    Remove(Named),
    /// Prints what became of each recipient, as CSV (or JSON)
    Results {
        #[command(flatten)]
        named: Named,
        /// sent, not_sent or unknown; everybody unless given
        #[arg(long)]
        list: Option<String>,
        /// Writes XLSX to this file instead
        #[arg(long, value_name = "FILE")]
        xlsx: Option<PathBuf>,
    },
    /// Shows its progress until it ends
    Watch(Named),
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The AppID
    pub(crate) app_id: String,
    /// The campaign's id
    pub(crate) campaign: String,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The AppID
    pub(crate) app_id: String,
    /// A name for people
    #[arg(long)]
    pub(crate) name: String,
    /// The template's id
    #[arg(long)]
    pub(crate) template: String,
    /// A field with placeholders: thing8='物业费 {{fee|money}} 元'
    #[arg(long = "data", value_name = "KEY=TEXT", value_parser = pair)]
    pub(crate) data: Vec<(String, String)>,
    /// The page that the card opens
    #[arg(long)]
    pub(crate) page: Option<String>,
    /// Everyone with a record for the template (this is what is meant unless --tag, --where or --recipients is given)
    #[arg(long, conflicts_with_all = ["tags", "condition", "recipients"])]
    pub(crate) subscribers: bool,
    /// Those of them with this tag
    #[arg(long = "tag", value_name = "TAG", conflicts_with = "recipients")]
    pub(crate) tags: Vec<String>,
    /// Those of them who fit: {"attr":"building","op":"eq","value":"3"}
    #[arg(long = "where", value_name = "JSON", conflicts_with = "recipients")]
    pub(crate) condition: Option<String>,
    /// A CSV whose column openid or external_id names them; its other columns are placeholders. - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) recipients: Option<PathBuf>,
    /// A spreadsheet that was uploaded and is ready (hongyan upload)
    #[arg(long, value_name = "ID", conflicts_with_all = ["recipients", "tags", "condition", "subscribers"])]
    pub(crate) upload: Option<String>,
    /// Not before this (RFC 3339 with an offset)
    #[arg(long, value_name = "TIME")]
    pub(crate) send_at: Option<String>,
    /// Not after this
    #[arg(long, value_name = "TIME")]
    pub(crate) expire_at: Option<String>,
    /// Messages a second at most
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u32>,
    /// The hours of the day in which it is sent, in Asia/Shanghai
    #[arg(long, value_name = "08:00-21:00")]
    pub(crate) window: Option<String>,
    /// Tries also those who have no grant left
    #[arg(long)]
    pub(crate) try_all: bool,
    /// Starts it at once
    #[arg(long)]
    pub(crate) start: bool,
    /// Shows its progress until it ends
    #[arg(long, requires = "start")]
    pub(crate) watch: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Resending {
    Failed,
    Undelivered,
    Expired,
    Refused,
    Skipped,
}

impl Resending {
    pub(crate) fn state(self) -> Resendable {
        match self {
            Self::Failed => Resendable::Failed,
            Self::Undelivered => Resendable::Undelivered,
            Self::Expired => Resendable::Expired,
            Self::Refused => Resendable::Refused,
            Self::Skipped => Resendable::Skipped,
        }
    }
}
