"""What stands in the way of a delivery, asked of the database: rights that are missing, sessions that hold it."""

from __future__ import annotations

from collections.abc import Callable

from caseweave.errors import CaseweaveError
from caseweave.targets.omop.connect import Asking, asking
from caseweave.targets.omop.ddl import VOCABULARY_TABLES

LOCK = 0x43574156  # "CWAV", so that no other program means the same lock
NAMED = 6
# reading or pointing to a table is in nobody's way
HARMLESS = ("AccessShareLock", "RowShareLock")


def explained(error: CaseweaveError, dsn: str, clinical: str, vocabulary: str) -> CaseweaveError:
    """An error of the database, with the rights that are missing or the sessions waited for, where it is that.

    >>> explained(CaseweaveError("No.", way_out="Yes."), "service=cdm", "cdm", "vocab").message
    'No.'

    Arguments: the schemas of the CDM and of its vocabulary.
    """
    ask = QUESTIONS.get(str(error.data.get("sqlstate")))
    if ask is None:
        return error
    try:
        with asking(dsn, clinical) as database:
            found = ask(database, clinical, vocabulary)
    except CaseweaveError:
        return error  # what went wrong first is what has to be told
    if not found:
        return error
    told = f"{error.message.rstrip('.')}; {found}."
    return type(error)(told, way_out=error.way_out, **error.data)


def missing_rights(database: Asking, clinical: str, vocabulary: str) -> str:
    """The rights that this user lacks, all at once, so that one GRANT mends it."""
    wanted = [(clinical, right, False) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    wanted.append((vocabulary, "SELECT", True))
    found = []
    if not _holds(database, "SELECT has_database_privilege(current_database(), 'TEMPORARY')"):
        found.append("TEMPORARY on the database")
    for schema in dict.fromkeys((clinical, vocabulary)):
        if not _holds(database, "SELECT has_schema_privilege(?, 'USAGE')", schema):
            found.append(f"USAGE on schema {schema}")
    for schema, right, concepts in wanted:
        tables = [name for (name,) in database.execute(TABLES_WITHOUT, (schema, right)).fetchall()]
        names = [name for name in tables if (name == "concept" if concepts else name not in VOCABULARY_TABLES)]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            found.append(f"{right} on {', '.join(names[:NAMED])}{more} of schema {schema}")
    made = _holds(database, "SELECT to_regclass(quote_ident(?) || '.caseweave_rows') IS NOT NULL", clinical)
    if not made and not _holds(database, "SELECT has_schema_privilege(?, 'CREATE')", clinical):
        found.append(f"CREATE on schema {clinical}")
    return f"it lacks {'; '.join(found)}" if found else ""


def holders(database: Asking, clinical: str, vocabulary: str) -> str:
    """The sessions that hold tables of the CDM, or its turn to be written: by number, user and program."""
    sessions = database.execute(HOLDING, (LOCK, [clinical, vocabulary], list(HARMLESS))).fetchall()
    told = [f"{pid} (user {user}, {program or 'no program name'})" for pid, user, program in sessions[:NAMED]]
    return f"held by session {', '.join(told)}" if told else ""


def _holds(database: Asking, query: str, *arguments: object) -> bool:
    return bool(database.execute(query, arguments).fetchall()[0][0])


TABLES_WITHOUT = """
    SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE nspname = ? AND relkind IN ('r', 'p', 'v', 'f') AND NOT has_table_privilege(c.oid, ?) ORDER BY relname
"""
HOLDING = """
    SELECT DISTINCT pid, usename, application_name FROM pg_locks AS held JOIN pg_stat_activity USING (pid)
    WHERE granted AND pid <> pg_backend_pid() AND (
        locktype = 'advisory' AND classid::bigint = ?
        OR locktype = 'relation' AND relation IN (
            SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = ANY (?)
        ) AND NOT mode = ANY (?)
    ) ORDER BY pid
"""
# SQLSTATE -> what to ask
QUESTIONS: dict[str, Callable[[Asking, str, str], str]] = {"42501": missing_rights, "55P03": holders}
