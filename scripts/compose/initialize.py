"""Makes Airflow's tables, the login to its UI and the bucket: what the service ``airflow-init`` runs before the others.

Running it again changes nothing but the password.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

BUCKET = "mlops"


def main() -> None:
    """Make what is missing."""
    passwords = Path(os.environ["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
    passwords.parent.mkdir(parents=True, exist_ok=True)
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({"admin": os.environ["AIRFLOW_ADMIN_PASSWORD"]}))
    _make_bucket()
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True)


def _make_bucket() -> None:
    import boto3
    from botocore.exceptions import ClientError

    try:
        boto3.client("s3").create_bucket(Bucket=BUCKET)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
            raise


if __name__ == "__main__":
    main()
