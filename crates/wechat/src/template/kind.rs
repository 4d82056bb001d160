//! The kinds of template fields with WeChat's names and limits: used by the checks, forms and error texts.
//!
//! Source: official page "发送订阅消息", the table of parameter types. It does not say what a "character" is; this crate
//! counts UTF-16 units, the stricter reading, which is the same as characters for all common text.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Lang;

/// The kind of a field, told by the letters of its key (`thing8` is a thing).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FieldKind {
    /// 事物: any text.
    Thing,
    /// 数字: digits, decimals allowed.
    Number,
    /// 字母: Latin letters.
    Letter,
    /// 符号: symbols.
    Symbol,
    /// 字符串: digits, letters and symbols.
    CharacterString,
    /// 时间: a time of day, with or without a date, or a range.
    Time,
    /// 日期: a date, with or without a time, or a range.
    Date,
    /// 金额: an amount of money.
    Amount,
    /// 电话: digits and symbols.
    PhoneNumber,
    /// 车牌: a number plate.
    CarNumber,
    /// 姓名: a person's name.
    Name,
    /// 汉字: Chinese characters only.
    Phrase,
    /// 枚举值: one of the values that gettemplate lists (keys `enum…` and `enum_string…`).
    Enum,
    /// A kind that this crate does not know, by its letters; only what holds for every field is checked.
    Other(String),
}

impl FieldKind {
    /// Every known kind, in the order of WeChat's table.
    pub const KNOWN: [Self; 13] = [
        Self::Thing,
        Self::Number,
        Self::Letter,
        Self::Symbol,
        Self::CharacterString,
        Self::Time,
        Self::Date,
        Self::Amount,
        Self::PhoneNumber,
        Self::CarNumber,
        Self::Name,
        Self::Phrase,
        Self::Enum,
    ];

    /// Tells kind and number of a key: `thing8` gives `(Thing, 8)`. A key without a number has the number 0.
    pub fn from_key(key: &str) -> (Self, u32) {
        let letters = key.trim_end_matches(|c: char| c.is_ascii_digit());
        (Self::from_word(letters), key[letters.len()..].parse().unwrap_or(0))
    }

    fn from_word(word: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|kind| kind.as_str() == word);
        known.unwrap_or_else(|| match word {
            "enum_string" => Self::Enum,
            _ => Self::Other(word.to_owned()),
        })
    }

    /// The letters of the key, as WeChat writes them: `thing`, `character_string` …
    pub fn as_str(&self) -> &str {
        match self {
            Self::Thing => "thing",
            Self::Number => "number",
            Self::Letter => "letter",
            Self::Symbol => "symbol",
            Self::CharacterString => "character_string",
            Self::Time => "time",
            Self::Date => "date",
            Self::Amount => "amount",
            Self::PhoneNumber => "phone_number",
            Self::CarNumber => "car_number",
            Self::Name => "name",
            Self::Phrase => "phrase",
            Self::Enum => "enum",
            Self::Other(word) => word,
        }
    }

    /// WeChat's Chinese name of the kind.
    pub fn zh(&self) -> &str {
        self.name(Lang::Zh)
    }

    /// An English name of the kind.
    pub fn en(&self) -> &str {
        self.name(Lang::En)
    }

    /// The name of the kind for people; for an unknown kind its letters.
    pub fn name(&self, lang: Lang) -> &str {
        let (zh, en) = match self {
            Self::Thing => ("事物", "text"),
            Self::Number => ("数字", "number"),
            Self::Letter => ("字母", "letters"),
            Self::Symbol => ("符号", "symbols"),
            Self::CharacterString => ("字符串", "string"),
            Self::Time => ("时间", "time"),
            Self::Date => ("日期", "date"),
            Self::Amount => ("金额", "amount"),
            Self::PhoneNumber => ("电话", "phone number"),
            Self::CarNumber => ("车牌", "number plate"),
            Self::Name => ("姓名", "name"),
            Self::Phrase => ("汉字", "Chinese characters"),
            Self::Enum => ("枚举值", "listed value"),
            Self::Other(word) => (word.as_str(), word.as_str()),
        };
        lang.pick(zh, en)
    }

    /// The greatest length in UTF-16 units, where WeChat states one for the whole value. (A name has 20, but 10 as soon
    /// as it holds a Chinese character; an amount limits its digits, not its length.)
    pub fn limit(&self) -> Option<u32> {
        match self {
            Self::Thing | Self::Name => Some(20),
            Self::Number | Self::Letter | Self::CharacterString => Some(32),
            Self::Symbol | Self::Phrase => Some(5),
            Self::PhoneNumber => Some(17),
            Self::CarNumber => Some(8),
            Self::Time | Self::Date | Self::Amount | Self::Enum | Self::Other(_) => None,
        }
    }

    /// What a value of this kind may be, in one phrase. Source: the table of "发送订阅消息", shortened.
    pub fn rule(&self, lang: Lang) -> &'static str {
        let (zh, en) = match self {
            Self::Thing => ("20 个以内字符，可汉字、数字、字母或符号组合", "up to 20 characters of any kind"),
            Self::Number => {
                ("32 位以内数字，只能数字，可带小数", "up to 32 digits, decimals allowed, nothing else")
            }
            Self::Letter => ("32 位以内字母，只能字母", "up to 32 Latin letters, nothing else"),
            Self::Symbol => ("5 位以内符号，只能符号", "up to 5 symbols, nothing else"),
            Self::CharacterString => {
                ("32 位以内数字、字母或符号", "up to 32 digits, letters or symbols, no Chinese")
            }
            Self::Time => (
                "24 小时制时间，可带年月日，时间段用“~”连接，例如：15:01，或：2019年10月1日 15:01",
                "a 24-hour time, with or without a date, ranges with ~, as 15:01 or 2019-10-01 15:01",
            ),
            Self::Date => (
                "年月日，可带 24 小时制时间，时间段用“~”连接，例如：2019年10月1日，或：2019-10-01 15:01",
                "a date, with or without a 24-hour time, ranges with ~, as 2019-10-01 or 2019-10-01 15:01",
            ),
            Self::Amount => (
                "1 个币种符号加 10 位以内数字，可带小数，结尾可带“元”，例如：¥85.50，或：85.50元",
                "a currency symbol and up to 10 digits, decimals allowed, as ¥85.50",
            ),
            Self::PhoneNumber => {
                ("17 位以内数字、符号，例如：+86-0766-66888866", "up to 17 digits and symbols")
            }
            Self::CarNumber => (
                "8 位以内，第一位与最后一位可为汉字，其余为字母或数字，例如：粤A8Z888挂",
                "up to 8 letters and digits; the first and the last may be Chinese",
            ),
            Self::Name => (
                "10 个以内汉字，或 20 个以内字母或符号；混合按汉字算",
                "up to 10 Chinese characters or 20 letters or symbols (10 if mixed), no digits",
            ),
            Self::Phrase => ("5 个以内汉字，只能汉字", "up to 5 Chinese characters, nothing else"),
            Self::Enum => ("只能是模板列出的枚举值之一", "one of the values that the template lists"),
            Self::Other(_) => {
                ("不能为空，不能有换行等控制字符", "not empty, no line breaks or control characters")
            }
        };
        lang.pick(zh, en)
    }
}

impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for FieldKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for FieldKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_word(&String::deserialize(deserializer)?))
    }
}
