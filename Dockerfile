# For CPUs, about 1.7 GB: Debian and Python 0.15, torch without CUDA 0.65, OpenCV, SciPy, pandas and the rest 0.85. Without
# `render`, whose VTK takes another 0.6, so there is no `evolift data render` and no demo in it.
#
#     docker build -t evolift .
#     docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" evolift predict photo.jpg -o poses
FROM python:3.12-slim
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY . /src
RUN pip install --no-cache-dir /src
# With --user files belong to who runs it, not to root; torch and matplotlib then need a name and a home that they can write to.
ENV HOME=/tmp USER=evolift
WORKDIR /data
ENTRYPOINT ["evolift"]
