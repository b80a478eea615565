-- minoots.schedule takes a recurrence, and refuses one that the API refuses. When a timer is due first,
-- and then next, is computed by the kernels alone, with the time zones of their binary (internal/cron):
-- schedule writes such a timer "unarmed", due at once, and the kernel that claims it computes its first
-- instant in place of firing it.
--
-- What is checked here is what can be told without computing instants of a cron: its text, and that
-- some date matches it; the zone's name; the bounds. Of `every` the first instant is known here too.

--
-- And a retry policy has retryOn; actions of other kinds than webhook are told where they are taken; and
-- minoots.reschedule is new.

-- +goose Up
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- time_zones lists the names that internal/tzdb has, and a test holds the two together. It is not
-- pg_timezone_names, since the server's database may be of another version than the kernels': a zone
-- that only the server knows would never be due.
CREATE FUNCTION minoots.time_zones() RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN '{
    Africa/Abidjan, Africa/Accra, Africa/Addis_Ababa, Africa/Algiers, Africa/Asmara, Africa/Asmera, Africa/Bamako,
    Africa/Bangui, Africa/Banjul, Africa/Bissau, Africa/Blantyre, Africa/Brazzaville, Africa/Bujumbura,
    Africa/Cairo, Africa/Casablanca, Africa/Ceuta, Africa/Conakry, Africa/Dakar, Africa/Dar_es_Salaam,
    Africa/Djibouti, Africa/Douala, Africa/El_Aaiun, Africa/Freetown, Africa/Gaborone, Africa/Harare,
    Africa/Johannesburg, Africa/Juba, Africa/Kampala, Africa/Khartoum, Africa/Kigali, Africa/Kinshasa, Africa/Lagos,
    Africa/Libreville, Africa/Lome, Africa/Luanda, Africa/Lubumbashi, Africa/Lusaka, Africa/Malabo, Africa/Maputo,
    Africa/Maseru, Africa/Mbabane, Africa/Mogadishu, Africa/Monrovia, Africa/Nairobi, Africa/Ndjamena,
    Africa/Niamey, Africa/Nouakchott, Africa/Ouagadougou, Africa/Porto-Novo, Africa/Sao_Tome, Africa/Timbuktu,
    Africa/Tripoli, Africa/Tunis, Africa/Windhoek, America/Adak, America/Anchorage, America/Anguilla,
    America/Antigua, America/Araguaina, America/Argentina/Buenos_Aires, America/Argentina/Catamarca,
    America/Argentina/ComodRivadavia, America/Argentina/Cordoba, America/Argentina/Jujuy,
    America/Argentina/La_Rioja, America/Argentina/Mendoza, America/Argentina/Rio_Gallegos, America/Argentina/Salta,
    America/Argentina/San_Juan, America/Argentina/San_Luis, America/Argentina/Tucuman, America/Argentina/Ushuaia,
    America/Aruba, America/Asuncion, America/Atikokan, America/Atka, America/Bahia, America/Bahia_Banderas,
    America/Barbados, America/Belem, America/Belize, America/Blanc-Sablon, America/Boa_Vista, America/Bogota,
    America/Boise, America/Buenos_Aires, America/Cambridge_Bay, America/Campo_Grande, America/Cancun,
    America/Caracas, America/Catamarca, America/Cayenne, America/Cayman, America/Chicago, America/Chihuahua,
    America/Ciudad_Juarez, America/Coral_Harbour, America/Cordoba, America/Costa_Rica, America/Coyhaique,
    America/Creston, America/Cuiaba, America/Curacao, America/Danmarkshavn, America/Dawson, America/Dawson_Creek,
    America/Denver, America/Detroit, America/Dominica, America/Edmonton, America/Eirunepe, America/El_Salvador,
    America/Ensenada, America/Fort_Nelson, America/Fort_Wayne, America/Fortaleza, America/Glace_Bay,
    America/Godthab, America/Goose_Bay, America/Grand_Turk, America/Grenada, America/Guadeloupe, America/Guatemala,
    America/Guayaquil, America/Guyana, America/Halifax, America/Havana, America/Hermosillo,
    America/Indiana/Indianapolis, America/Indiana/Knox, America/Indiana/Marengo, America/Indiana/Petersburg,
    America/Indiana/Tell_City, America/Indiana/Vevay, America/Indiana/Vincennes, America/Indiana/Winamac,
    America/Indianapolis, America/Inuvik, America/Iqaluit, America/Jamaica, America/Jujuy, America/Juneau,
    America/Kentucky/Louisville, America/Kentucky/Monticello, America/Knox_IN, America/Kralendijk, America/La_Paz,
    America/Lima, America/Los_Angeles, America/Louisville, America/Lower_Princes, America/Maceio, America/Managua,
    America/Manaus, America/Marigot, America/Martinique, America/Matamoros, America/Mazatlan, America/Mendoza,
    America/Menominee, America/Merida, America/Metlakatla, America/Mexico_City, America/Miquelon, America/Moncton,
    America/Monterrey, America/Montevideo, America/Montreal, America/Montserrat, America/Nassau, America/New_York,
    America/Nipigon, America/Nome, America/Noronha, America/North_Dakota/Beulah, America/North_Dakota/Center,
    America/North_Dakota/New_Salem, America/Nuuk, America/Ojinaga, America/Panama, America/Pangnirtung,
    America/Paramaribo, America/Phoenix, America/Port-au-Prince, America/Port_of_Spain, America/Porto_Acre,
    America/Porto_Velho, America/Puerto_Rico, America/Punta_Arenas, America/Rainy_River, America/Rankin_Inlet,
    America/Recife, America/Regina, America/Resolute, America/Rio_Branco, America/Rosario, America/Santa_Isabel,
    America/Santarem, America/Santiago, America/Santo_Domingo, America/Sao_Paulo, America/Scoresbysund,
    America/Shiprock, America/Sitka, America/St_Barthelemy, America/St_Johns, America/St_Kitts, America/St_Lucia,
    America/St_Thomas, America/St_Vincent, America/Swift_Current, America/Tegucigalpa, America/Thule,
    America/Thunder_Bay, America/Tijuana, America/Toronto, America/Tortola, America/Vancouver, America/Virgin,
    America/Whitehorse, America/Winnipeg, America/Yakutat, America/Yellowknife, Antarctica/Casey, Antarctica/Davis,
    Antarctica/DumontDUrville, Antarctica/Macquarie, Antarctica/Mawson, Antarctica/McMurdo, Antarctica/Palmer,
    Antarctica/Rothera, Antarctica/South_Pole, Antarctica/Syowa, Antarctica/Troll, Antarctica/Vostok,
    Arctic/Longyearbyen, Asia/Aden, Asia/Almaty, Asia/Amman, Asia/Anadyr, Asia/Aqtau, Asia/Aqtobe, Asia/Ashgabat,
    Asia/Ashkhabad, Asia/Atyrau, Asia/Baghdad, Asia/Bahrain, Asia/Baku, Asia/Bangkok, Asia/Barnaul, Asia/Beirut,
    Asia/Bishkek, Asia/Brunei, Asia/Calcutta, Asia/Chita, Asia/Choibalsan, Asia/Chongqing, Asia/Chungking,
    Asia/Colombo, Asia/Dacca, Asia/Damascus, Asia/Dhaka, Asia/Dili, Asia/Dubai, Asia/Dushanbe, Asia/Famagusta,
    Asia/Gaza, Asia/Harbin, Asia/Hebron, Asia/Ho_Chi_Minh, Asia/Hong_Kong, Asia/Hovd, Asia/Irkutsk, Asia/Istanbul,
    Asia/Jakarta, Asia/Jayapura, Asia/Jerusalem, Asia/Kabul, Asia/Kamchatka, Asia/Karachi, Asia/Kashgar,
    Asia/Kathmandu, Asia/Katmandu, Asia/Khandyga, Asia/Kolkata, Asia/Krasnoyarsk, Asia/Kuala_Lumpur, Asia/Kuching,
    Asia/Kuwait, Asia/Macao, Asia/Macau, Asia/Magadan, Asia/Makassar, Asia/Manila, Asia/Muscat, Asia/Nicosia,
    Asia/Novokuznetsk, Asia/Novosibirsk, Asia/Omsk, Asia/Oral, Asia/Phnom_Penh, Asia/Pontianak, Asia/Pyongyang,
    Asia/Qatar, Asia/Qostanay, Asia/Qyzylorda, Asia/Rangoon, Asia/Riyadh, Asia/Saigon, Asia/Sakhalin,
    Asia/Samarkand, Asia/Seoul, Asia/Shanghai, Asia/Singapore, Asia/Srednekolymsk, Asia/Taipei, Asia/Tashkent,
    Asia/Tbilisi, Asia/Tehran, Asia/Tel_Aviv, Asia/Thimbu, Asia/Thimphu, Asia/Tokyo, Asia/Tomsk, Asia/Ujung_Pandang,
    Asia/Ulaanbaatar, Asia/Ulan_Bator, Asia/Urumqi, Asia/Ust-Nera, Asia/Vientiane, Asia/Vladivostok, Asia/Yakutsk,
    Asia/Yangon, Asia/Yekaterinburg, Asia/Yerevan, Atlantic/Azores, Atlantic/Bermuda, Atlantic/Canary,
    Atlantic/Cape_Verde, Atlantic/Faeroe, Atlantic/Faroe, Atlantic/Jan_Mayen, Atlantic/Madeira, Atlantic/Reykjavik,
    Atlantic/South_Georgia, Atlantic/St_Helena, Atlantic/Stanley, Australia/ACT, Australia/Adelaide,
    Australia/Brisbane, Australia/Broken_Hill, Australia/Canberra, Australia/Currie, Australia/Darwin,
    Australia/Eucla, Australia/Hobart, Australia/LHI, Australia/Lindeman, Australia/Lord_Howe, Australia/Melbourne,
    Australia/NSW, Australia/North, Australia/Perth, Australia/Queensland, Australia/South, Australia/Sydney,
    Australia/Tasmania, Australia/Victoria, Australia/West, Australia/Yancowinna, Brazil/Acre, Brazil/DeNoronha,
    Brazil/East, Brazil/West, CET, CST6CDT, Canada/Atlantic, Canada/Central, Canada/Eastern, Canada/Mountain,
    Canada/Newfoundland, Canada/Pacific, Canada/Saskatchewan, Canada/Yukon, Chile/Continental, Chile/EasterIsland,
    Cuba, EET, EST, EST5EDT, Egypt, Eire, Etc/GMT, Etc/GMT+0, Etc/GMT+1, Etc/GMT+10, Etc/GMT+11, Etc/GMT+12,
    Etc/GMT+2, Etc/GMT+3, Etc/GMT+4, Etc/GMT+5, Etc/GMT+6, Etc/GMT+7, Etc/GMT+8, Etc/GMT+9, Etc/GMT-0, Etc/GMT-1,
    Etc/GMT-10, Etc/GMT-11, Etc/GMT-12, Etc/GMT-13, Etc/GMT-14, Etc/GMT-2, Etc/GMT-3, Etc/GMT-4, Etc/GMT-5,
    Etc/GMT-6, Etc/GMT-7, Etc/GMT-8, Etc/GMT-9, Etc/GMT0, Etc/Greenwich, Etc/UCT, Etc/UTC, Etc/Universal, Etc/Zulu,
    Europe/Amsterdam, Europe/Andorra, Europe/Astrakhan, Europe/Athens, Europe/Belfast, Europe/Belgrade,
    Europe/Berlin, Europe/Bratislava, Europe/Brussels, Europe/Bucharest, Europe/Budapest, Europe/Busingen,
    Europe/Chisinau, Europe/Copenhagen, Europe/Dublin, Europe/Gibraltar, Europe/Guernsey, Europe/Helsinki,
    Europe/Isle_of_Man, Europe/Istanbul, Europe/Jersey, Europe/Kaliningrad, Europe/Kiev, Europe/Kirov, Europe/Kyiv,
    Europe/Lisbon, Europe/Ljubljana, Europe/London, Europe/Luxembourg, Europe/Madrid, Europe/Malta,
    Europe/Mariehamn, Europe/Minsk, Europe/Monaco, Europe/Moscow, Europe/Nicosia, Europe/Oslo, Europe/Paris,
    Europe/Podgorica, Europe/Prague, Europe/Riga, Europe/Rome, Europe/Samara, Europe/San_Marino, Europe/Sarajevo,
    Europe/Saratov, Europe/Simferopol, Europe/Skopje, Europe/Sofia, Europe/Stockholm, Europe/Tallinn, Europe/Tirane,
    Europe/Tiraspol, Europe/Ulyanovsk, Europe/Uzhgorod, Europe/Vaduz, Europe/Vatican, Europe/Vienna, Europe/Vilnius,
    Europe/Volgograd, Europe/Warsaw, Europe/Zagreb, Europe/Zaporozhye, Europe/Zurich, GB, GB-Eire, GMT, GMT+0,
    GMT-0, GMT0, Greenwich, HST, Hongkong, Iceland, Indian/Antananarivo, Indian/Chagos, Indian/Christmas,
    Indian/Cocos, Indian/Comoro, Indian/Kerguelen, Indian/Mahe, Indian/Maldives, Indian/Mauritius, Indian/Mayotte,
    Indian/Reunion, Iran, Israel, Jamaica, Japan, Kwajalein, Libya, MET, MST, MST7MDT, Mexico/BajaNorte,
    Mexico/BajaSur, Mexico/General, NZ, NZ-CHAT, Navajo, PRC, PST8PDT, Pacific/Apia, Pacific/Auckland,
    Pacific/Bougainville, Pacific/Chatham, Pacific/Chuuk, Pacific/Easter, Pacific/Efate, Pacific/Enderbury,
    Pacific/Fakaofo, Pacific/Fiji, Pacific/Funafuti, Pacific/Galapagos, Pacific/Gambier, Pacific/Guadalcanal,
    Pacific/Guam, Pacific/Honolulu, Pacific/Johnston, Pacific/Kanton, Pacific/Kiritimati, Pacific/Kosrae,
    Pacific/Kwajalein, Pacific/Majuro, Pacific/Marquesas, Pacific/Midway, Pacific/Nauru, Pacific/Niue,
    Pacific/Norfolk, Pacific/Noumea, Pacific/Pago_Pago, Pacific/Palau, Pacific/Pitcairn, Pacific/Pohnpei,
    Pacific/Ponape, Pacific/Port_Moresby, Pacific/Rarotonga, Pacific/Saipan, Pacific/Samoa, Pacific/Tahiti,
    Pacific/Tarawa, Pacific/Tongatapu, Pacific/Truk, Pacific/Wake, Pacific/Wallis, Pacific/Yap, Poland, Portugal,
    ROC, ROK, Singapore, Turkey, UCT, US/Alaska, US/Aleutian, US/Arizona, US/Central, US/East-Indiana, US/Eastern,
    US/Hawaii, US/Indiana-Starke, US/Michigan, US/Mountain, US/Pacific, US/Samoa, UTC, Universal, W-SU, WET, Zulu}'::text[];
END $$;

-- zone_problem says what is wrong with the name of a zone, NULL if nothing is.
CREATE FUNCTION minoots.zone_problem(zone text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known text;
BEGIN
    IF zone = ANY (minoots.time_zones()) THEN
        RETURN NULL;
    END IF;
    SELECT name INTO known FROM unnest(minoots.time_zones()) name
    WHERE lower(name COLLATE "C") = lower(zone COLLATE "C");
    RETURN coalesce('is written ' || to_json(known)::text,
        'is not in the time zone database: want an IANA name such as "Europe/Paris", not an abbreviation or offset; '
        || 'for a fixed offset two hours ahead of UTC want "Etc/GMT-2"');
END $$;

-- cron_value reads a number or a name of a field from low to high, NULL if it is none. names are those
-- of low, low + 1 and so on.
CREATE FUNCTION minoots.cron_value(written text, low integer, high integer, names text[]) RETURNS integer
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN written = ANY (names) THEN low + array_position(names, written) - 1
        WHEN written ~ '^[0-9]{1,9}$' AND written::integer BETWEEN low AND high THEN written::integer END;
END $$;

-- cron_item reads *, a value or a range, with or without a step, into a set: bit n for n. NULL if it is
-- none of them. A single value before a step goes to the end, as in 5/15.
CREATE FUNCTION minoots.cron_item(item text, low integer, high integer, names text[]) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    last     CONSTANT integer := CASE high WHEN 7 THEN 6 ELSE high END; -- 7 is Sunday again
    span     CONSTANT text := split_part(item, '/', 1);
    stepped  CONSTANT boolean := strpos(item, '/') > 0;
    step     CONSTANT integer := CASE WHEN stepped
        THEN minoots.cron_value(substr(item, length(span) + 2), 1, last - low, '{}') ELSE 1 END;
    first    CONSTANT text := split_part(span, '-', 1);
    ranged   CONSTANT boolean := strpos(span, '-') > 0;
    start    integer := minoots.cron_value(first, low, high, names);
    stop     integer;
    bits     bigint := 0;
BEGIN
    IF span = '*' THEN
        start := low;
        stop := last;
    ELSIF ranged THEN
        stop := minoots.cron_value(substr(span, length(first) + 2), low, high, names);
        IF high = 7 AND stop = 0 AND start > 0 THEN -- FRI-SUN
            stop := 7;
        END IF;
    ELSE
        stop := CASE WHEN stepped THEN greatest(start, last) ELSE start END;
    END IF;
    IF start IS NULL OR stop IS NULL OR step IS NULL OR start > stop THEN
        RETURN NULL;
    END IF;
    FOR value IN start .. stop BY step LOOP
        bits := bits | (1::bigint << value);
    END LOOP;
    RETURN bits;
END $$;

-- cron_field reads a field, a list in upper case, into bits; NULL if it is not understood. Bit n is for
-- n, and 0 for both Sundays. Of a day of the month, bit 32 is L. Of a day of the week, d, bit 8 + d is dL,
-- the last in the month, and bit 16 + 5 d + n - 1 is d#n, the nth.
CREATE FUNCTION minoots.cron_field(written text, low integer, high integer, names text[]) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    bits  bigint := 0;
    item  text;
    found bigint;
    day   integer;
BEGIN
    FOREACH item IN ARRAY string_to_array(written, ',') LOOP
        IF strpos(item, '#') = 0 AND (right(item, 1) <> 'L' OR high = 12) THEN -- JUL ends with L
            found := minoots.cron_item(item, low, high, names);
        ELSIF high = 31 THEN
            found := CASE item WHEN 'L' THEN 1::bigint << 32 END;
        ELSIF high <> 7 THEN
            found := NULL;
        ELSIF right(item, 1) = 'L' THEN
            day := minoots.cron_value(left(item, -1), low, high, names) % 7;
            found := 1::bigint << 8 + day;
        ELSE
            day := minoots.cron_value(split_part(item, '#', 1), low, high, names) % 7;
            found := 1::bigint << 15 + 5 * day + substring(item FROM '^[^#]*#([1-5])$')::integer;
        END IF;
        IF found IS NULL THEN
            RETURN NULL;
        END IF;
        bits := bits | found;
    END LOOP;
    IF high = 7 AND bits & 128 > 0 THEN
        bits := (bits & ~ bigint '128') | 1;
    END IF;
    RETURN bits;
END $$;

-- cron_days gives the days, bit n for day n, that two fields name in a month of a length that begins
-- with a weekday. By Vixie cron's rule a day must be in both fields if either begins with a star, else
-- in one.
CREATE FUNCTION minoots.cron_days(day bigint, weekday bigint, star boolean, length integer, begins integer) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    by_date    CONSTANT bigint := CASE WHEN day >> 32 & 1 = 1 THEN day | (1::bigint << length) ELSE day END;
    by_weekday bigint := 0;
    first      integer; -- the first such weekday in the month
BEGIN
    FOR d IN 0 .. 6 LOOP
        first := 1 + (d - begins + 7) % 7;
        IF weekday >> d & 1 = 1 THEN
            by_weekday := by_weekday | (270549121::bigint << first); -- bits 0, 7, 14, 21 and 28
        END IF;
        IF weekday >> 8 + d & 1 = 1 THEN
            by_weekday := by_weekday | (1::bigint << first + (length - first) / 7 * 7);
        END IF;
        FOR nth IN 0 .. 4 LOOP
            IF weekday >> 16 + 5 * d + nth & 1 = 1 THEN
                by_weekday := by_weekday | (1::bigint << first + 7 * nth);
            END IF;
        END LOOP;
    END LOOP;
    RETURN CASE WHEN star THEN by_date & by_weekday ELSE by_date | by_weekday END
        & ((1::bigint << length + 1) - 2);
END $$;

-- cron_possible tells whether there is any day that the three fields name. In a calendar each length of
-- each month meets each weekday.
CREATE FUNCTION minoots.cron_possible(day bigint, month bigint, weekday bigint, star boolean) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    FOR length IN REVERSE 31 .. 28 LOOP
        CONTINUE WHEN month & CASE length WHEN 31 THEN 5546 WHEN 30 THEN 2640 ELSE 4 END = 0; -- the months of that length
        FOR begins IN 0 .. 6 LOOP
            IF minoots.cron_days(day, weekday, star, length, begins) <> 0 THEN
                RETURN true;
            END IF;
        END LOOP;
    END LOOP;
    RETURN false;
END $$;

-- cron_fields splits an expression at all that Go's strings.Fields splits at.
CREATE FUNCTION minoots.cron_fields(written text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF written ~ '[^ -~]' THEN
        SELECT translate(written, string_agg(chr(n), ''), repeat(' ', count(*)::integer)) INTO written
        FROM unnest(ARRAY[9, 10, 11, 12, 13, 133, 160, 5760, 8192, 8193, 8194, 8195, 8196, 8197, 8198, 8199, 8200, 8201,
            8202, 8232, 8233, 8239, 8287, 12288]) n;
    END IF;
    RETURN array_remove(string_to_array(written, ' '), '');
END $$;

-- check_cron reads an expression, and tells each field that is not understood.
CREATE FUNCTION minoots.check_cron(bad jsonb, written text, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    want   CONSTANT text := 'want 5 fields (minute, hour, day of month, month, day of week), such as "0 9 * * MON-FRI", or 6 with seconds first';
    fields text[] := minoots.cron_fields(written);
    macro  text;
    fault  text;
    bits   bigint[];
    kinds  CONSTANT text[] := ARRAY['second', 'minute', 'hour', 'day of month', 'month', 'day of week'];
    lows   CONSTANT integer[] := ARRAY[0, 0, 0, 1, 1, 0];
    highs  CONSTANT integer[] := ARRAY[59, 59, 23, 31, 12, 7];
    star   boolean;
    found  bigint;
BEGIN
    macro := lower(translate(fields[1], chr(304) || chr(8490), 'ik') COLLATE "C"); -- Go takes these two for i and k
    fault := CASE
        WHEN cardinality(fields) = 0 THEN 'is empty: ' || want
        WHEN macro = '@every' THEN '@every is a field of its own: give "every": "15m" instead of cron'
        WHEN macro = '@reboot' THEN '@reboot is no time: a service that starts can create a timer itself'
        WHEN macro LIKE '@%' AND macro NOT IN ('@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly')
            THEN to_json(left(fields[1], 20) || CASE WHEN length(fields[1]) > 20 THEN '…' ELSE '' END)::text
                || ' is not known: want one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly'
        WHEN macro LIKE '@%' AND cardinality(fields) > 1 THEN macro || ' stands alone: nothing may follow it'
        WHEN macro LIKE '@%' THEN NULL
        WHEN strpos(fields[1], 'TZ=') > 0 THEN 'must not name the zone; give it in timeZone'
        WHEN cardinality(fields) = 7 THEN 'has 7 fields: ' || want || '; for certain years use startAt and endAt'
        WHEN cardinality(fields) NOT IN (5, 6) THEN 'has ' || cardinality(fields) || ' of its fields: ' || want END;
    IF fault IS NOT NULL THEN
        RETURN minoots.note(bad, path, fault);
    ELSIF macro LIKE '@%' THEN
        RETURN bad;
    ELSIF cardinality(fields) = 5 THEN
        fields := '0'::text || fields;
    END IF;
    FOR i IN 1 .. 6 LOOP
        found := minoots.cron_field(upper(translate(fields[i], chr(305) || chr(383), 'IS') COLLATE "C"), lows[i], highs[i],
            CASE i WHEN 5 THEN '{JAN,FEB,MAR,APR,MAY,JUN,JUL,AUG,SEP,OCT,NOV,DEC}'::text[]
                WHEN 6 THEN '{SUN,MON,TUE,WED,THU,FRI,SAT}' ELSE '{}' END);
        bits := bits || found;
        IF found IS NULL THEN
            fault := 'none';
            bad := minoots.note(bad, path, kinds[i] || ': ' || to_json(left(fields[i], 20)
                || CASE WHEN length(fields[i]) > 20 THEN '…' ELSE '' END)::text || ' is not understood; want '
                || lows[i] || ' to ' || highs[i]
                || CASE i WHEN 5 THEN ' or JAN to DEC' WHEN 6 THEN ' or SUN to SAT' ELSE '' END
                || ', as in *, 5, 5-9, */15 or 1,3'
                || CASE i WHEN 4 THEN ', or L for the last' WHEN 6 THEN ', or 5L for the last Friday, or 5#3 for the third' ELSE '' END);
        END IF;
    END LOOP;
    star := fields[4] LIKE '*%' OR fields[6] LIKE '*%';
    IF fault IS NULL AND NOT minoots.cron_possible(bits[4], bits[5], bits[6], star) THEN
        bad := minoots.note(bad, path, 'never comes: no day of these months is what the expression names');
    END IF;
    RETURN bad;
END $$;

-- written gives an instant as minoots.Instant writes it.
CREATE FUNCTION minoots.written(at timestamptz) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
END $$;

-- first_tick gives the first instant of every, which is in nanoseconds, counted from start or else from
-- the creation, now.
CREATE FUNCTION minoots.first_tick(every bigint, start timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE AS $$
DECLARE
    gone CONSTANT numeric := 1000 * (1000000 * extract(epoch FROM now() - start))::bigint::numeric; -- nanoseconds
BEGIN
    RETURN CASE WHEN start > now() THEN start
        ELSE coalesce(start, now()) + ceil((div(coalesce(gone, 0), every) + 1) * every / 1000) * interval '1 microsecond' END;
END $$;

-- check_bounds checks startAt and endAt, as far as they are instants.
CREATE FUNCTION minoots.check_bounds(bad jsonb, recurrence jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    horizon CONSTANT interval := interval '876600 hours';
    start   CONSTANT timestamptz := (minoots.parse_instant(recurrence -> 'startAt')).instant;
    finish  CONSTANT timestamptz := (minoots.parse_instant(recurrence -> 'endAt')).instant;
BEGIN
    RETURN CASE
    WHEN start NOT BETWEEN now() - horizon AND now() + horizon THEN
        minoots.note(bad, 'recurrence.startAt', 'must be within 100 years from now')
    WHEN finish NOT BETWEEN now() - horizon AND now() + horizon THEN
        minoots.note(bad, 'recurrence.endAt', 'must be within 100 years from now')
    WHEN finish < start THEN
        minoots.note(bad, 'recurrence.endAt', 'is before startAt (' || minoots.written(start) || '); must be at or after it')
    WHEN finish < now() THEN
        minoots.note(bad, 'recurrence.endAt', 'has passed; must be at or after ' || minoots.written(now()))
    ELSE bad END;
END $$;

-- check_recurrence tells what minoots.Recurrence.Validate tells, reads the text of a cron and the name
-- of a zone, and sees if the end comes before the first instant of every.
CREATE OR REPLACE FUNCTION minoots.check_recurrence(bad jsonb, recurrence jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    before CONSTANT integer := jsonb_array_length(bad);
    cron   CONSTANT jsonb := nullif(recurrence -> 'cron', '""');
    zone   CONSTANT text := nullif(minoots.text_of(recurrence -> 'timeZone'), '');
    every  record;
    field  text;
    found  record;
    first  timestamptz;
BEGIN
    IF jsonb_typeof(recurrence) <> 'object' THEN
        RETURN bad; -- shape_problem has told
    END IF;
    IF NOT minoots.given(cron) AND NOT minoots.given(recurrence -> 'every') THEN
        bad := minoots.note(bad, 'recurrence',
            'must have exactly one of cron, such as "0 9 * * MON-FRI", and every, such as "15m", and has neither');
    ELSIF minoots.given(cron) AND minoots.given(recurrence -> 'every') THEN
        bad := minoots.note(bad, 'recurrence', 'must have exactly one of cron and every, and has both');
    END IF;
    IF octet_length(minoots.text_of(cron)) > 256 THEN
        bad := minoots.note(bad, 'recurrence.cron', 'must be at most 256 characters');
    ELSIF minoots.text_of(cron) IS NOT NULL THEN
        bad := minoots.check_cron(bad, minoots.text_of(cron), 'recurrence.cron');
    END IF;
    IF minoots.given(recurrence -> 'every') THEN
        every := minoots.parse_duration(recurrence -> 'every');
        IF every.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'recurrence.every', every.problem);
        ELSIF every.nanos NOT BETWEEN 1000000000 AND 31557600e11 THEN
            bad := minoots.note(bad, 'recurrence.every', 'must be from 1s to 36525d (100 years)');
        END IF;
    END IF;
    IF zone IS NOT NULL AND minoots.zone_problem(zone) IS NOT NULL THEN
        bad := minoots.note(bad, 'recurrence.timeZone', minoots.zone_problem(zone));
    END IF;
    IF minoots.text_of(recurrence #> '{dst,gap}') NOT IN ('', 'shift', 'skip') THEN
        bad := minoots.note(bad, 'recurrence.dst.gap', 'must be shift or skip');
    END IF;
    IF minoots.text_of(recurrence #> '{dst,overlap}') NOT IN ('', 'first', 'last', 'both') THEN
        bad := minoots.note(bad, 'recurrence.dst.overlap', 'must be first, last or both');
    END IF;
    bad := minoots.check_range(bad, recurrence -> 'maxOccurrences', 'recurrence.maxOccurrences', 1, 2147483647,
        'must be from 1 to 2147483647');
    FOREACH field IN ARRAY ARRAY['startAt', 'endAt'] LOOP
        found := minoots.parse_instant(recurrence -> field);
        IF minoots.given(recurrence -> field) AND found.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'recurrence.' || field, found.problem);
        END IF;
    END LOOP;
    bad := minoots.check_bounds(bad, recurrence);
    IF jsonb_array_length(bad) = before AND minoots.given(recurrence -> 'every') THEN
        first := minoots.first_tick(every.nanos, (minoots.parse_instant(recurrence -> 'startAt')).instant);
        IF first > (minoots.parse_instant(recurrence -> 'endAt')).instant THEN
            bad := minoots.note(bad, 'recurrence.endAt', 'is before the first occurrence ('
                || minoots.written(first) || '); must be at or after it');
        END IF;
    END IF;
    RETURN bad;
END $$;

-- shape_problem tells a value of the wrong type. What an instant or a duration holds is told with its
-- field.
CREATE OR REPLACE FUNCTION minoots.shape_problem(value jsonb, want text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    found CONSTANT text := jsonb_typeof(value);
BEGIN
    RETURN CASE
    WHEN want IN ('any', 'duration', 'instant') THEN NULL
    WHEN found = 'null' THEN 'must not be null'
    WHEN want = 'text' THEN CASE WHEN found <> 'string' THEN 'must be a string' END
    WHEN want = 'number' THEN CASE WHEN found <> 'number' THEN 'must be a number' END
    WHEN want = 'whole' THEN CASE WHEN found <> 'number' THEN 'must be a whole number'
        WHEN minoots.whole_of(value) IS NULL THEN 'must be a whole number of 64 bits' END
    WHEN want = 'texts' THEN CASE WHEN found <> 'array' THEN 'must be a list'
        WHEN jsonb_array_length(value) > 50 THEN 'must be at most 50 items' END
    WHEN want = 'actions' THEN CASE WHEN found <> 'array' THEN 'must be a list'
        WHEN jsonb_array_length(value) > 100 THEN 'must be at most 100 items' END
    WHEN found <> 'object' THEN 'must be an object' END;
END $$;

-- check_record checks the fields of an object against spec_fields, and what is in them likewise.
CREATE OR REPLACE FUNCTION minoots.check_record(bad jsonb, value jsonb, path text, record text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known   CONSTANT text[] := minoots.spec_fields(record);
    unknown jsonb := value;
    field   text;
    name    text;
    want    text;
    problem text;
BEGIN
    FOREACH field IN ARRAY known LOOP
        name := split_part(field, ' ', 1);
        want := split_part(field, ' ', 2);
        unknown := unknown - name;
        CONTINUE WHEN want NOT LIKE '%!' AND NOT minoots.given(value -> name);
        want := rtrim(want, '!');
        problem := CASE WHEN value ? name THEN minoots.shape_problem(value -> name, want) ELSE 'is missing' END;
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, minoots.below(path, name), problem);
        ELSIF want = 'table' THEN
            bad := minoots.check_table(bad, value -> name, minoots.below(path, name));
        ELSIF want = 'texts' THEN
            bad := minoots.check_texts(bad, value -> name, minoots.below(path, name));
        ELSIF want = 'actions' THEN
            bad := minoots.check_actions(bad, value -> name, minoots.below(path, name));
        ELSIF want ~ '^[A-Z]' THEN
            bad := minoots.check_record(bad, value -> name, minoots.below(path, name), want);
        END IF;
    END LOOP;
    IF unknown <> '{}' THEN
        problem := 'is not a field here: want one of '
            || regexp_replace(array_to_string(known, ', '), ' [A-Za-z]+!?(?=,|$)', '', 'g');
        FOR name IN SELECT jsonb_object_keys(unknown) LIMIT 100 LOOP
            bad := minoots.note(bad, minoots.below(path, name), problem);
        END LOOP;
    END IF;
    RETURN bad;
END $$;

-- check_texts checks that the items of a list are strings.
CREATE FUNCTION minoots.check_texts(bad jsonb, list jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    problem text;
BEGIN
    FOR i IN 0 .. jsonb_array_length(list) - 1 LOOP
        problem := minoots.shape_problem(list -> i, 'text');
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, path || '[' || i || ']', problem);
        END IF;
    END LOOP;
    RETURN bad;
END $$;

-- check_retry_policy takes 0 for the default, as Go does.
CREATE OR REPLACE FUNCTION minoots.check_retry_policy(bad jsonb, policy jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    classes    CONSTANT text[] := '{timeout,refused,reset,unreachable,dns,tls,protocol,signing,unavailable,redirect,http_status}';
    list       CONSTANT jsonb := minoots.list_of(policy -> 'retryOn');
    multiplier CONSTANT numeric := CASE jsonb_typeof(policy -> 'backoffMultiplier')
        WHEN 'number' THEN (policy -> 'backoffMultiplier')::numeric END;
BEGIN
    bad := minoots.check_range(bad, policy -> 'maxAttempts', path || '.maxAttempts', 0, 100, 'must be from 1 to 100');
    bad := minoots.check_range(bad, policy -> 'backoffInitialMs', path || '.backoffInitialMs', 0, 86400000,
        'must be from 1 to 86400000 (a day)');
    IF multiplier <> 0 AND multiplier NOT BETWEEN 1 AND 100 THEN
        bad := minoots.note(bad, path || '.backoffMultiplier', 'must be from 1 to 100');
    END IF;
    bad := minoots.check_range(bad, policy -> 'backoffMaxMs', path || '.backoffMaxMs', 0, 604800000,
        'must be from 1 to 604800000 (a week)');
    FOR i IN 0 .. coalesce(jsonb_array_length(list), 0) - 1 LOOP
        IF jsonb_array_length(list) <= 50 AND minoots.text_of(list -> i) !~ '^[34][0-9]{2}$'
            AND minoots.text_of(list -> i) <> ALL (classes) THEN
            bad := minoots.note(bad, path || '.retryOn[' || i || ']', 'must be an HTTP status from 300 to 499, or one of ['
                || array_to_string(classes, ' ') || ']');
        END IF;
    END LOOP;
    RETURN bad;
END $$;

-- check_action checks one action, and what it escalates to. Whether a kind but webhook can be had is a
-- matter of the replicas' settings and libraries: NATS, the allowed programs, templates.
CREATE OR REPLACE FUNCTION minoots.check_action(INOUT bad jsonb, INOUT seen text[], action jsonb, path text, agent boolean, depth integer)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    id         CONSTANT text := minoots.text_of(action -> 'id');
    kind       CONSTANT text := minoots.text_of(action -> 'kind');
    escalation CONSTANT jsonb := minoots.object_of(action -> 'escalation');
    found      record;
BEGIN
    IF id !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$' THEN
        bad := minoots.note(bad, path || '.id', 'must be 1 to 64 of letters, digits, and _ . : - after the first');
    ELSIF id = ANY (seen) THEN
        bad := minoots.note(bad, path || '.id', to_json(id)::text || ' stands twice in the bundle; ids must differ');
    END IF;
    seen := seen || id;
    IF minoots.given(action -> 'retryPolicy') THEN
        bad := minoots.check_retry_policy(bad, action -> 'retryPolicy', path || '.retryPolicy');
    END IF;
    IF kind = 'webhook' THEN
        bad := minoots.check_webhook(bad, action -> 'parameters', path || '.parameters');
    ELSIF kind = 'agent_prompt' AND NOT agent THEN
        bad := minoots.note(bad, path || '.kind', 'agent_prompt needs an agentBinding, which says which agent to wake');
    ELSIF kind IN ('agent_prompt', 'workflow_event', 'command') THEN
        bad := minoots.note(bad, path || '.kind', to_json(kind)::text
            || ' actions cannot be scheduled from SQL, where nothing tells if they can run: use POST /v1/timers');
    ELSIF kind IS NOT NULL THEN
        bad := minoots.note(bad, path || '.kind', 'must be one of [webhook agent_prompt workflow_event command]');
    END IF;
    IF escalation IS NULL THEN
        RETURN;
    END IF;
    path := path || '.escalation';
    bad := minoots.check_range(bad, escalation -> 'afterAttempts', path || '.afterAttempts', 1, 100, 'must be from 1 to 100');
    IF depth >= 5 THEN
        bad := minoots.note(bad, path, 'must not be nested more than 5 deep');
    ELSE
        found := minoots.check_action(bad, seen, escalation -> 'escalatesTo', path || '.escalatesTo', agent, depth + 1);
        bad := found.bad;
        seen := found.seen;
    END IF;
END $$;

-- check_agent_binding holds it to its lengths, wants both names, and knows the adapters of the contract.
-- The template is compiled by the replicas alone.
CREATE OR REPLACE FUNCTION minoots.check_agent_binding(bad jsonb, binding jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    problem text;
BEGIN
    bad := minoots.check_text(bad, minoots.text_of(binding -> 'adapter'), 'agentBinding.adapter', 64);
    bad := minoots.check_text(bad, minoots.text_of(binding -> 'target'), 'agentBinding.target', 2048);
    IF minoots.text_of(binding -> 'adapter') = '' OR minoots.text_of(binding -> 'target') = '' THEN
        bad := minoots.note(bad, 'agentBinding', 'must name an adapter and a target');
    ELSIF minoots.text_of(binding -> 'adapter') <> '' AND minoots.text_of(binding -> 'target') <> '' THEN
        IF minoots.text_of(binding -> 'adapter') NOT IN ('mcp', 'langchain', 'autogen', 'custom') THEN
            bad := minoots.note(bad, 'agentBinding.adapter', 'must be one of mcp, langchain, autogen, custom');
        END IF;
        problem := minoots.url_problem(minoots.text_of(binding -> 'target'));
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, 'agentBinding.target', problem);
        END IF;
    END IF;
    RETURN minoots.check_range(bad, binding -> 'acknowledgementTimeoutMs', 'agentBinding.acknowledgementTimeoutMs',
        0, 604800000, 'must be from 1 to 604800000 (a week)');
END $$;

-- without_zeros drops the fields that hold their type's zero, as Go does when it writes the row; keep
-- names one that is any JSON and stays.
CREATE OR REPLACE FUNCTION minoots.without_zeros(object jsonb, keep text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(object) e
        WHERE e.key = keep OR e.value NOT IN ('null', '0', '[]'));
END $$;

-- check_when wants exactly one of duration, fireAt and recurrence, within a hundred years. now() is
-- the time of the caller's transaction.
CREATE OR REPLACE FUNCTION minoots.check_when(bad jsonb, spec jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    horizon  CONSTANT interval := interval '876600 hours'; -- 36525 days, whatever the clocks do
    number   CONSTANT integer := minoots.given(spec -> 'duration')::integer
        + minoots.given(spec -> 'fireAt')::integer + minoots.given(spec -> 'recurrence')::integer;
    misfire  CONSTANT jsonb := spec -> 'misfire';
    grace    CONSTANT bigint := coalesce(least(minoots.whole_of(misfire -> 'graceMs'), 31536000000), 0);
    duration record;
    fire_at  record;
    every    bigint;
    before   integer;
BEGIN
    IF number <> 1 THEN
        bad := minoots.note(bad, '', 'must have exactly one of duration, fireAt and recurrence, and has ' || number);
    END IF;
    IF minoots.given(spec -> 'duration') THEN
        duration := minoots.parse_duration(spec -> 'duration');
        IF duration.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'duration', duration.problem);
        ELSIF duration.nanos NOT BETWEEN 1000000 AND 31557600e11 THEN
            bad := minoots.note(bad, 'duration', 'must be from 1ms to 36525d (100 years)');
        END IF;
    END IF;
    IF minoots.given(spec -> 'fireAt') THEN
        fire_at := minoots.parse_instant(spec -> 'fireAt');
        IF fire_at.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'fireAt', fire_at.problem);
        ELSIF fire_at.instant NOT BETWEEN now() - horizon AND now() + horizon THEN
            bad := minoots.note(bad, 'fireAt', 'must be within 100 years from now');
        END IF;
        -- Without a misfire policy, or later than the grace of skip, an instant in the past is a mistake.
        IF fire_at.instant < now() AND (NOT minoots.given(misfire)
            OR misfire ->> 'policy' = 'skip' AND fire_at.instant + grace * interval '1 millisecond' < now()) THEN
            bad := minoots.note(bad, 'fireAt', 'is in the past (now is '
                || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                || '); to have it fire at once, give misfire.policy fire_once');
        END IF;
    END IF;
    IF minoots.given(spec -> 'recurrence') THEN
        before := jsonb_array_length(bad);
        bad := minoots.check_recurrence(bad, spec -> 'recurrence');
        every := (minoots.parse_duration(spec #> '{recurrence,every}')).nanos;
        IF jsonb_array_length(bad) = before AND minoots.given(spec #> '{recurrence,every}')
            AND minoots.whole_of(spec -> 'jitterMs')::numeric * 1000000 >= every THEN
            bad := minoots.note(bad, 'jitterMs', 'would swallow the next occurrence; must be less than ' || every / 1000000
                || ', the shortest time between two occurrences (' || (spec #>> '{recurrence,every}') || ')');
        END IF;
    END IF;
    RETURN bad;
END $$;

-- names_every_hour tells whether a cron, which has been checked, is an interval in the guise of a clock
-- time: then it does not pause for an hour when clocks are put back.
CREATE FUNCTION minoots.names_every_hour(cron text) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    fields CONSTANT text[] := minoots.cron_fields(cron);
BEGIN
    RETURN CASE WHEN fields[1] LIKE '@%' THEN lower(fields[1]) = '@hourly'
        ELSE minoots.cron_field(fields[cardinality(fields) - 3], 0, 23, '{}') = 16777215 END;
END $$;

-- series_of gives a recurrence as internal/cron has it stored: its defaults written out.
CREATE FUNCTION minoots.series_of(recurrence jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    stored jsonb := minoots.without_empty(recurrence);
BEGIN
    IF stored ? 'dst' THEN
        stored := jsonb_set(stored, '{dst}', minoots.without_empty(stored -> 'dst'));
    END IF;
    IF stored ? 'cron' THEN
        stored := stored || jsonb_build_object('dst', jsonb_build_object('gap', 'shift', 'overlap',
            CASE WHEN minoots.names_every_hour(stored ->> 'cron') THEN 'both' ELSE 'first' END)
            || coalesce(stored -> 'dst', '{}'));
    END IF;
    RETURN jsonb '{"timeZone": "UTC"}' || stored;
END $$;

-- without_empty drops the fields that hold null or an empty text.
CREATE FUNCTION minoots.without_empty(object jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(object) e
        WHERE e.value NOT IN ('null', '""'));
END $$;

-- may_skip tells, of a timer that fires once, whether a late firing may be left out: then true, else NULL.
CREATE FUNCTION minoots.may_skip(misfire jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN nullif(coalesce(misfire ->> 'policy' = 'skip' OR minoots.whole_of(misfire -> 'maxLatenessMs') > 0, false), false);
END $$;

-- refuse raises what the checks have found.
CREATE FUNCTION minoots.refuse(bad jsonb, what text) RETURNS void
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
        MESSAGE = what || ' does not validate: ' || (
            SELECT string_agg(ltrim((b.problem ->> 'path') || ' ' || (b.problem ->> 'message')), '; ' ORDER BY b.n)
            FROM jsonb_array_elements(bad) WITH ORDINALITY b (problem, n)),
        DETAIL = bad::text,
        HINT = 'The detail lists every mistake as JSON. The fields are those of POST /v1/timers.';
END $$;

-- hint tells the kernels of a timer that is due soon, at the caller's commit: a transaction with a NOTIFY
-- takes a lock of the whole cluster when it commits, and a later timer is found by their next look ahead.
CREATE FUNCTION minoots.hint(due_at timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    look_ahead CONSTANT interval := interval '30 seconds'; -- db.LookAhead
BEGIN
    IF due_at <= clock_timestamp() + look_ahead THEN
        PERFORM pg_notify('minoots_due', (extract(epoch FROM due_at) * 1000000)::bigint::text);
    END IF;
END $$;

-- due_of gives the instant in the jitter's window at which an occurrence is due. Where it falls follows
-- from the timer's id, though by another hash than in Go.
CREATE FUNCTION minoots.due_of(id uuid, occurrence integer, fire_at timestamptz, jitter_ms bigint) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN fire_at + coalesce((uuid_hash_extended(id, occurrence) & 9223372036854775807) % nullif(jitter_ms * 1000, 0), 0)
        * interval '1 microsecond';
END $$;

-- spec_fields lists the fields of minoots.TimerSpec and of the records in it, and of When, which is what
-- reschedule takes.
CREATE OR REPLACE FUNCTION minoots.spec_fields(record text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE record
WHEN 'TimerSpec' THEN '{name text, requestedBy text, tenantId text, duration duration, fireAt instant,
    recurrence Recurrence, labels table, metadata any, actionBundle Bundle, agentBinding AgentBinding,
    misfire Misfire, jitterMs whole}'::text[]
WHEN 'When' THEN '{duration duration, fireAt instant, recurrence Recurrence}'
WHEN 'Recurrence' THEN '{cron text, every duration, timeZone text, dst DSTPolicy, startAt instant, endAt instant,
    maxOccurrences whole}'
WHEN 'DSTPolicy' THEN '{gap text, overlap text}'
WHEN 'Bundle' THEN '{concurrency whole, retryPolicy RetryPolicy, actions actions!, onFailure text, compensation actions}'
WHEN 'RetryPolicy' THEN '{maxAttempts whole, backoffInitialMs whole, backoffMultiplier number, backoffMaxMs whole,
    retryOn texts}'
WHEN 'Action' THEN '{id text!, kind text!, parameters any, retryPolicy RetryPolicy, escalation Escalation}'
WHEN 'Escalation' THEN '{afterAttempts whole!, escalatesTo Action!}'
WHEN 'AgentBinding' THEN '{adapter text!, target text!, payloadTemplate any, acknowledgementTimeoutMs whole}'
WHEN 'Misfire' THEN '{policy text!, graceMs whole, maxLatenessMs whole}'
END $$;

-- schedule writes what timer_create.sql writes, in the caller's transaction.
CREATE OR REPLACE FUNCTION minoots.schedule(tenant text, spec jsonb) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    id          CONSTANT uuid := minoots.uuid7();
    bad         jsonb;
    recurring   CONSTANT boolean := minoots.given(spec -> 'recurrence');
    duration_us bigint;
    fire_at     timestamptz;
    due_at      timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM minoots.tenants t WHERE t.id = tenant) THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = 'no tenant ' || coalesce(quote_literal(left(tenant, 64)), 'NULL'),
            HINT = 'Make it with: minoots tenants create ID';
    END IF;
    bad := minoots.check_timer(tenant, coalesce(spec, 'null'));
    IF bad <> '[]' THEN
        PERFORM minoots.refuse(bad, 'timer');
    END IF;

    duration_us := ((minoots.parse_duration(spec -> 'duration')).nanos + 999) / 1000; -- up: never early
    fire_at := coalesce((minoots.parse_instant(spec -> 'fireAt')).instant, now() + duration_us * interval '1 microsecond', now());
    due_at := CASE WHEN recurring THEN fire_at ELSE minoots.due_of(id, 1, fire_at, minoots.whole_of(spec -> 'jitterMs')) END;

    INSERT INTO minoots.timers (id, created_at, duration_us, jitter_ms, tenant_id, name, requested_by,
        labels, metadata, bundle, agent_binding, misfire, recurrence)
    VALUES (id, now(), duration_us, coalesce(minoots.whole_of(spec -> 'jitterMs'), 0), tenant,
        coalesce(spec ->> 'name', ''), coalesce(spec ->> 'requestedBy', ''),
        nullif(minoots.object_of(spec -> 'labels'), '{}'), (spec -> 'metadata')::json,
        CASE WHEN minoots.given(spec -> 'actionBundle') THEN minoots.bundle_of(spec -> 'actionBundle')::json END,
        CASE WHEN minoots.given(spec -> 'agentBinding') THEN minoots.agent_binding_of(spec -> 'agentBinding')::json END,
        CASE WHEN minoots.given(spec -> 'misfire') THEN minoots.without_zeros(spec -> 'misfire', '')::json END,
        CASE WHEN recurring THEN minoots.series_of(spec -> 'recurrence')::json END);
    INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, tenant_id, recurring, unarmed, may_skip)
    VALUES (id, fire_at, due_at, now(), coalesce(jsonb_array_length(spec #> '{actionBundle,actions}'), 0), tenant,
        recurring, nullif(recurring, false), CASE WHEN NOT recurring THEN minoots.may_skip(spec -> 'misfire') END);
    INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (id, tenant, 'timer.scheduled');
    PERFORM minoots.hint(due_at);
    RETURN id;
END $$;

-- reschedule does what timer_update.sql does for a patch of when a timer fires, in the caller's
-- transaction. The lock is what a claim's SKIP LOCKED steps over: of reschedule and fire, one is first, and
-- the other sees it. patched is for the claim, which may see the new state beside the old definition.
CREATE FUNCTION minoots.reschedule(tenant text, id uuid, spec jsonb) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    state    record;
    asked    record;
    bad      jsonb := '[]';
    series   CONSTANT boolean := minoots.given(spec -> 'recurrence');
    new_us   bigint;
    new_fire timestamptz;
    new_due  timestamptz;
BEGIN
    SELECT s.status, s.occurrence, s.version + 1 AS next_version INTO state FROM minoots.timer_states s
    WHERE s.id = reschedule.id AND s.tenant_id = reschedule.tenant
    FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = 'no timer with this id',
            HINT = 'The tenant has none with it, or had one that was over and has been removed.';
    END IF;
    SELECT t.jitter_ms, t.misfire INTO asked FROM minoots.timers t
    WHERE t.id = reschedule.id AND t.tenant_id = reschedule.tenant;
    IF jsonb_typeof(spec) IS DISTINCT FROM 'object' THEN
        bad := minoots.note(bad, '', 'must be an object');
    ELSIF octet_length(spec::text) > 262144 THEN
        bad := minoots.note(bad, '', 'must be at most 262144 bytes');
    ELSE
        bad := minoots.check_record(bad, spec, '', 'When');
        bad := minoots.check_when(bad, spec || jsonb_build_object('misfire', asked.misfire, 'jitterMs', asked.jitter_ms));
        IF minoots.whole_of(spec #> '{recurrence,maxOccurrences}') BETWEEN 1 AND state.occurrence THEN
            bad := minoots.note(bad, 'recurrence.maxOccurrences',
                'must be more than ' || state.occurrence || ', for that many there have been');
        END IF;
    END IF;
    IF bad <> '[]' THEN
        PERFORM minoots.refuse(bad, 'new time');
    ELSIF state.status IN ('settled', 'failed', 'cancelled') THEN
        RETURN false;
    ELSIF state.status NOT IN ('scheduled', 'paused') THEN
        RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
            MESSAGE = 'the timer has fired and its actions are running; it can no longer be rescheduled';
    END IF;

    new_us := ((minoots.parse_duration(spec -> 'duration')).nanos + 999) / 1000; -- up: never early
    new_fire := coalesce((minoots.parse_instant(spec -> 'fireAt')).instant, now() + new_us * interval '1 microsecond', now());
    new_due := CASE WHEN series THEN new_fire ELSE minoots.due_of(id, state.occurrence + 1, new_fire, asked.jitter_ms) END;
    UPDATE minoots.timer_states s
    SET fire_at = new_fire, updated_at = now(), version = state.next_version, patched = state.next_version,
        recurring = series, unarmed = nullif(series, false), may_skip = CASE WHEN NOT series THEN minoots.may_skip(asked.misfire::jsonb) END,
        due_at = CASE state.status WHEN 'scheduled' THEN new_due END,
        held_due_at = CASE state.status WHEN 'paused' THEN new_due END,
        paused_at = CASE state.status WHEN 'paused' THEN now() ELSE s.paused_at END
    WHERE s.id = reschedule.id AND s.tenant_id = reschedule.tenant;
    UPDATE minoots.timers t
    SET duration_us = new_us, patched = state.next_version, anchor = CASE WHEN series THEN now() END,
        recurrence = CASE WHEN series THEN minoots.series_of(spec -> 'recurrence')::json END
    WHERE t.id = reschedule.id AND t.tenant_id = reschedule.tenant;
    INSERT INTO minoots.events (timer_id, tenant_id, type, data)
    SELECT reschedule.id, reschedule.tenant, 'timer.updated',
        json_build_object('by', 'reschedule', 'fields', json_agg(e.key)) FROM jsonb_each(spec) e WHERE minoots.given(e.value);
    IF state.status = 'scheduled' THEN
        PERFORM minoots.hint(new_due);
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION minoots.reschedule IS
    'Changes when a timer of the tenant''s fires, in the caller''s transaction. true: done; false: it was over already. docs/sql.md';

-- +goose StatementEnd

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA minoots FROM PUBLIC;

-- +goose StatementBegin
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'minoots_scheduling') THEN
        GRANT EXECUTE ON FUNCTION minoots.reschedule TO minoots_scheduling;
    END IF;
END $$;
-- +goose StatementEnd

-- +goose Down
SET LOCAL lock_timeout = '5s';

-- +goose StatementBegin
-- As in 00005_sql_interface.sql and 00009_sql_interface.sql.
CREATE OR REPLACE FUNCTION minoots.spec_fields(record text) RETURNS text[]
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE record
WHEN 'TimerSpec' THEN '{name text, requestedBy text, tenantId text, duration duration, fireAt instant,
    recurrence Recurrence, labels table, metadata any, actionBundle Bundle, agentBinding AgentBinding,
    misfire Misfire, jitterMs whole}'::text[]
WHEN 'Recurrence' THEN '{cron text, every duration, timeZone text, dst DSTPolicy, startAt instant, endAt instant,
    maxOccurrences whole}'
WHEN 'DSTPolicy' THEN '{gap text, overlap text}'
WHEN 'Bundle' THEN '{concurrency whole, retryPolicy RetryPolicy, actions actions!, onFailure text, compensation actions}'
WHEN 'RetryPolicy' THEN '{maxAttempts whole, backoffInitialMs whole, backoffMultiplier number, backoffMaxMs whole}'
WHEN 'Action' THEN '{id text!, kind text!, parameters any, retryPolicy RetryPolicy, escalation Escalation}'
WHEN 'Escalation' THEN '{afterAttempts whole!, escalatesTo Action!}'
WHEN 'AgentBinding' THEN '{adapter text!, target text!, payloadTemplate any, acknowledgementTimeoutMs whole}'
WHEN 'Misfire' THEN '{policy text!, graceMs whole, maxLatenessMs whole}'
END $$;

CREATE OR REPLACE FUNCTION minoots.check_recurrence(bad jsonb, recurrence jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    field   text;
    problem text;
BEGIN
    FOREACH field IN ARRAY ARRAY['every', 'startAt', 'endAt'] LOOP
        CONTINUE WHEN NOT minoots.given(recurrence -> field);
        problem := CASE field WHEN 'every' THEN (minoots.parse_duration(recurrence -> field)).problem
            ELSE (minoots.parse_instant(recurrence -> field)).problem END;
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, 'recurrence.' || field, problem);
        END IF;
    END LOOP;
    RETURN bad;
END $$;

CREATE OR REPLACE FUNCTION minoots.check_when(bad jsonb, spec jsonb) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
DECLARE
    horizon  CONSTANT interval := interval '876600 hours'; -- 36525 days, whatever the clocks do
    number   CONSTANT integer := minoots.given(spec -> 'duration')::integer
        + minoots.given(spec -> 'fireAt')::integer + minoots.given(spec -> 'recurrence')::integer;
    misfire  CONSTANT jsonb := spec -> 'misfire';
    grace    CONSTANT bigint := coalesce(least(minoots.whole_of(misfire -> 'graceMs'), 31536000000), 0);
    duration record;
    fire_at  record;
BEGIN
    IF number <> 1 THEN
        bad := minoots.note(bad, '', 'must have exactly one of duration, fireAt and recurrence, and has ' || number);
    END IF;
    IF minoots.given(spec -> 'duration') THEN
        duration := minoots.parse_duration(spec -> 'duration');
        IF duration.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'duration', duration.problem);
        ELSIF duration.nanos NOT BETWEEN 1000000 AND 31557600e11 THEN
            bad := minoots.note(bad, 'duration', 'must be from 1ms to 36525d (100 years)');
        END IF;
    END IF;
    IF minoots.given(spec -> 'fireAt') THEN
        fire_at := minoots.parse_instant(spec -> 'fireAt');
        IF fire_at.problem IS NOT NULL THEN
            bad := minoots.note(bad, 'fireAt', fire_at.problem);
        ELSIF fire_at.instant NOT BETWEEN now() - horizon AND now() + horizon THEN
            bad := minoots.note(bad, 'fireAt', 'must be within 100 years from now');
        END IF;
        -- Without a misfire policy, or later than the grace of skip, an instant in the past is a mistake.
        IF fire_at.instant < now() AND (NOT minoots.given(misfire)
            OR misfire ->> 'policy' = 'skip' AND fire_at.instant + grace * interval '1 millisecond' < now()) THEN
            bad := minoots.note(bad, 'fireAt', 'is in the past (now is '
                || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                || '); to have it fire at once, give misfire.policy fire_once');
        END IF;
    END IF;
    IF minoots.given(spec -> 'recurrence') THEN
        bad := minoots.note(bad, 'recurrence', 'is not available in this version; give duration or fireAt');
        bad := minoots.check_recurrence(bad, spec -> 'recurrence');
    END IF;
    RETURN bad;
END $$;

CREATE OR REPLACE FUNCTION minoots.schedule(tenant text, spec jsonb) RETURNS uuid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    look_ahead  CONSTANT interval := interval '30 seconds'; -- db.LookAhead
    id          CONSTANT uuid := minoots.uuid7();
    bad         jsonb;
    duration_us bigint;
    jitter_us   bigint;
    fire_at     timestamptz;
    due_at      timestamptz;
BEGIN
    IF NOT EXISTS (SELECT FROM minoots.tenants t WHERE t.id = tenant) THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = 'no tenant ' || coalesce(quote_literal(left(tenant, 64)), 'NULL'),
            HINT = 'Make it with: minoots tenants create ID';
    END IF;
    bad := minoots.check_timer(tenant, coalesce(spec, 'null'));
    IF bad <> '[]' THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = 'timer does not validate: ' || (
                SELECT string_agg(ltrim((b.problem ->> 'path') || ' ' || (b.problem ->> 'message')), '; ' ORDER BY b.n)
                FROM jsonb_array_elements(bad) WITH ORDINALITY b (problem, n)),
            DETAIL = bad::text,
            HINT = 'The detail lists every mistake as JSON. The fields are those of POST /v1/timers.';
    END IF;

    duration_us := ((minoots.parse_duration(spec -> 'duration')).nanos + 999) / 1000; -- up: never early
    fire_at := coalesce((minoots.parse_instant(spec -> 'fireAt')).instant, now() + duration_us * interval '1 microsecond');
    -- Where in its window a timer falls follows from its id, though by another hash than in Go.
    jitter_us := (uuid_hash_extended(id, 1) & 9223372036854775807) % nullif(minoots.whole_of(spec -> 'jitterMs') * 1000, 0);
    due_at := fire_at + coalesce(jitter_us, 0) * interval '1 microsecond';

    INSERT INTO minoots.timers (id, created_at, duration_us, jitter_ms, tenant_id, name, requested_by,
        labels, metadata, bundle, agent_binding, misfire)
    VALUES (id, now(), duration_us, coalesce(minoots.whole_of(spec -> 'jitterMs'), 0), tenant,
        coalesce(spec ->> 'name', ''), coalesce(spec ->> 'requestedBy', ''),
        nullif(minoots.object_of(spec -> 'labels'), '{}'), (spec -> 'metadata')::json,
        CASE WHEN minoots.given(spec -> 'actionBundle') THEN minoots.bundle_of(spec -> 'actionBundle')::json END,
        CASE WHEN minoots.given(spec -> 'agentBinding') THEN minoots.agent_binding_of(spec -> 'agentBinding')::json END,
        CASE WHEN minoots.given(spec -> 'misfire') THEN minoots.without_zeros(spec -> 'misfire', '')::json END);
    INSERT INTO minoots.timer_states (id, fire_at, due_at, updated_at, actions, tenant_id)
    VALUES (id, fire_at, due_at, now(), coalesce(jsonb_array_length(spec #> '{actionBundle,actions}'), 0), tenant);
    INSERT INTO minoots.events (timer_id, tenant_id, type) VALUES (id, tenant, 'timer.scheduled');
    IF due_at <= clock_timestamp() + look_ahead THEN
        PERFORM pg_notify('minoots_due', (extract(epoch FROM due_at) * 1000000)::bigint::text);
    END IF;
    RETURN id;
END $$;

CREATE OR REPLACE FUNCTION minoots.shape_problem(value jsonb, want text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    found CONSTANT text := jsonb_typeof(value);
BEGIN
    RETURN CASE
    WHEN want IN ('any', 'duration', 'instant') THEN NULL
    WHEN found = 'null' THEN 'must not be null'
    WHEN want = 'text' THEN CASE WHEN found <> 'string' THEN 'must be a string' END
    WHEN want = 'number' THEN CASE WHEN found <> 'number' THEN 'must be a number' END
    WHEN want = 'whole' THEN CASE WHEN found <> 'number' THEN 'must be a whole number'
        WHEN minoots.whole_of(value) IS NULL THEN 'must be a whole number of 64 bits' END
    WHEN want = 'actions' THEN CASE WHEN found <> 'array' THEN 'must be a list'
        WHEN jsonb_array_length(value) > 100 THEN 'must be at most 100 items' END
    WHEN found <> 'object' THEN 'must be an object' END;
END $$;

CREATE OR REPLACE FUNCTION minoots.check_record(bad jsonb, value jsonb, path text, record text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known   CONSTANT text[] := minoots.spec_fields(record);
    unknown jsonb := value;
    field   text;
    name    text;
    want    text;
    problem text;
BEGIN
    FOREACH field IN ARRAY known LOOP
        name := split_part(field, ' ', 1);
        want := split_part(field, ' ', 2);
        unknown := unknown - name;
        CONTINUE WHEN want NOT LIKE '%!' AND NOT minoots.given(value -> name);
        want := rtrim(want, '!');
        problem := CASE WHEN value ? name THEN minoots.shape_problem(value -> name, want) ELSE 'is missing' END;
        IF problem IS NOT NULL THEN
            bad := minoots.note(bad, minoots.below(path, name), problem);
        ELSIF want = 'table' THEN
            bad := minoots.check_table(bad, value -> name, minoots.below(path, name));
        ELSIF want = 'actions' THEN
            bad := minoots.check_actions(bad, value -> name, minoots.below(path, name));
        ELSIF want ~ '^[A-Z]' THEN
            bad := minoots.check_record(bad, value -> name, minoots.below(path, name), want);
        END IF;
    END LOOP;
    IF unknown <> '{}' THEN
        problem := 'is not a field here: want one of '
            || regexp_replace(array_to_string(known, ', '), ' [A-Za-z]+!?(?=,|$)', '', 'g');
        FOR name IN SELECT jsonb_object_keys(unknown) LIMIT 100 LOOP
            bad := minoots.note(bad, minoots.below(path, name), problem);
        END LOOP;
    END IF;
    RETURN bad;
END $$;

CREATE OR REPLACE FUNCTION minoots.check_retry_policy(bad jsonb, policy jsonb, path text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    multiplier CONSTANT numeric := CASE jsonb_typeof(policy -> 'backoffMultiplier')
        WHEN 'number' THEN (policy -> 'backoffMultiplier')::numeric END;
BEGIN
    bad := minoots.check_range(bad, policy -> 'maxAttempts', path || '.maxAttempts', 0, 100, 'must be from 1 to 100');
    bad := minoots.check_range(bad, policy -> 'backoffInitialMs', path || '.backoffInitialMs', 0, 86400000,
        'must be from 1 to 86400000 (a day)');
    IF multiplier <> 0 AND multiplier NOT BETWEEN 1 AND 100 THEN
        bad := minoots.note(bad, path || '.backoffMultiplier', 'must be from 1 to 100');
    END IF;
    RETURN minoots.check_range(bad, policy -> 'backoffMaxMs', path || '.backoffMaxMs', 0, 604800000,
        'must be from 1 to 604800000 (a week)');
END $$;

CREATE OR REPLACE FUNCTION minoots.check_action(INOUT bad jsonb, INOUT seen text[], action jsonb, path text, agent boolean, depth integer)
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    id         CONSTANT text := minoots.text_of(action -> 'id');
    kind       CONSTANT text := minoots.text_of(action -> 'kind');
    escalation CONSTANT jsonb := minoots.object_of(action -> 'escalation');
    found      record;
BEGIN
    IF id !~ '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$' THEN
        bad := minoots.note(bad, path || '.id', 'must be 1 to 64 of letters, digits, and _ . : - after the first');
    ELSIF id = ANY (seen) THEN
        bad := minoots.note(bad, path || '.id', to_json(id)::text || ' stands twice in the bundle; ids must differ');
    END IF;
    seen := seen || id;
    IF minoots.given(action -> 'retryPolicy') THEN
        bad := minoots.check_retry_policy(bad, action -> 'retryPolicy', path || '.retryPolicy');
    END IF;
    IF kind = 'webhook' THEN
        bad := minoots.check_webhook(bad, action -> 'parameters', path || '.parameters');
    ELSIF kind = 'agent_prompt' AND NOT agent THEN
        bad := minoots.note(bad, path || '.kind', 'agent_prompt needs an agentBinding, which says which agent to wake');
    ELSIF kind IN ('agent_prompt', 'workflow_event', 'command') THEN
        bad := minoots.note(bad, path || '.kind', to_json(kind)::text || ' actions are not available in this version');
    ELSIF kind IS NOT NULL THEN
        bad := minoots.note(bad, path || '.kind', 'must be one of [webhook agent_prompt workflow_event command]');
    END IF;
    IF escalation IS NULL THEN
        RETURN;
    END IF;
    path := path || '.escalation';
    bad := minoots.check_range(bad, escalation -> 'afterAttempts', path || '.afterAttempts', 1, 100, 'must be from 1 to 100');
    IF depth >= 5 THEN
        bad := minoots.note(bad, path, 'must not be nested more than 5 deep');
    ELSE
        found := minoots.check_action(bad, seen, escalation -> 'escalatesTo', path || '.escalatesTo', agent, depth + 1);
        bad := found.bad;
        seen := found.seen;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION minoots.check_agent_binding(bad jsonb, binding jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    bad := minoots.check_text(bad, minoots.text_of(binding -> 'adapter'), 'agentBinding.adapter', 64);
    bad := minoots.check_text(bad, minoots.text_of(binding -> 'target'), 'agentBinding.target', 2048);
    IF minoots.text_of(binding -> 'adapter') = '' OR minoots.text_of(binding -> 'target') = '' THEN
        bad := minoots.note(bad, 'agentBinding', 'must name an adapter and a target');
    END IF;
    RETURN minoots.check_range(bad, binding -> 'acknowledgementTimeoutMs', 'agentBinding.acknowledgementTimeoutMs',
        0, 604800000, 'must be from 1 to 604800000 (a week)');
END $$;

CREATE OR REPLACE FUNCTION minoots.without_zeros(object jsonb, keep text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') FROM jsonb_each(object) e
        WHERE e.key = keep OR e.value NOT IN ('null', '0'));
END $$;

DROP FUNCTION minoots.reschedule, minoots.due_of, minoots.hint, minoots.refuse, minoots.check_texts, minoots.may_skip, minoots.without_empty, minoots.series_of, minoots.names_every_hour,
    minoots.check_bounds, minoots.first_tick, minoots.written, minoots.check_cron, minoots.cron_fields, minoots.cron_possible, minoots.cron_days, minoots.cron_field, minoots.cron_item, minoots.cron_value, minoots.zone_problem, minoots.time_zones;
-- +goose StatementEnd
