# For CPUs, about 1.7 GB: Python 0.1, torch without CUDA 0.7, OpenCV, SciPy, pandas and the rest 0.8. Without `render`, whose
# VTK takes another 0.6, so there is no `evolift data render` and no demo in it.
#
#     docker build -t evolift .
#     docker run --rm -v "$PWD:/data" evolift predict photo.jpg -o poses
FROM python:3.12-slim
RUN pip install --no-cache-dir torch torchvision --index-url https://download.pytorch.org/whl/cpu
COPY . /src
RUN pip install --no-cache-dir /src
WORKDIR /data
ENTRYPOINT ["evolift"]
