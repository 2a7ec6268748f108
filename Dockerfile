# Install the dependencies first, from the lock file, so that a code change does not reinstall them.
FROM python:3.13-slim-trixie AS build
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PROJECT_ENVIRONMENT=/app UV_PYTHON_DOWNLOADS=never
RUN pip install --no-cache-dir uv==0.13.9
WORKDIR /src
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --frozen --no-default-groups --no-install-project --no-editable
COPY operator operator
RUN uv sync --frozen --no-default-groups --no-editable

FROM python:3.13-slim-trixie
# The running image installs nothing.
RUN pip uninstall --yes --quiet pip
COPY --from=build /app /app
# Limit glibc's arenas: otherwise each thread that polls Azure has its own, which keeps its peak memory.
ENV PATH=/app/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MALLOC_ARENA_MAX=2
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["backupjobwatch"]
CMD ["run"]
